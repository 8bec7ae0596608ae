import pytest

from proxy.meter.aws_path import names_model, split_model_path

ARN = "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (
            "/model/amazon.nova-lite-v1%3A0/converse",
            ("amazon.nova-lite-v1:0", "converse"),
        ),
        ("/base/model/a.b:0/invoke", ("a.b:0", "invoke")),
        (f"/model/{ARN}/invoke", (ARN, "invoke")),
        (f"/model/{ARN.replace(':', '%3A').replace('/', '%2F')}/x", (ARN, "x")),
        ("/model/converse", ("", "")),
        ("/model//converse", ("", "")),
        ("/v1/messages", ("", "")),
        ("", ("", "")),
    ],
)
def test_the_path_names_model_and_call(path: str, found: tuple[str, str]):
    assert split_model_path(path) == found


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("anthropic.claude-v2:1", True),
        (ARN, True),
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/1arbu5hu2sjr",
            False,
        ),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/abcdef", False),
        ("arn:aws:bedrock:us-east-1:1:default-prompt-router/anthropic.claude:1", False),
        ("arn:aws:sagemaker:us-east-1:1:endpoint/endpoint-quick-start", False),
        ("", False),
    ],
)
def test_some_ids_do_not_say_which_model_it_is(model: str, named: bool):
    assert names_model(model) is named
