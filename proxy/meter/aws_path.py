"""What the paths of Bedrock's runtime say.

What lives here: model and call of `…/model/{id}/{call}`. What does not: what a call means (`dialects/`).
"""

from urllib.parse import unquote


def split_model_path(path: str) -> tuple[str, str]:
    """Give model and call of a path, both empty where it is none; an ARN's own slashes may stand as they are."""
    head, _, call = path.rpartition("/")
    _, found, model = head.partition("/model/")
    return (unquote(model), call) if found and model else ("", "")


def names_model(model: str) -> bool:
    """Tell whether an id says which model it is; those of provisioned, imported and profiled models of a customer do not."""
    last = model.rpartition("/")[2]
    return "." in last and "prompt-router" not in model
