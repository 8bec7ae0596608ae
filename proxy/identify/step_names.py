"""What a step is called when nobody looks into bodies.

What lives here: the rungs header → template of route and path → operation. What does not: names of tools. A raw URL is never a
name: ids, tokens and personal data stand in URLs.
"""

import re

from proxy.model import Kind

MAX_SEGMENTS = 4
OTHER_STEP = "other"
_WORD = re.compile(r"v[0-9]{1,2}|[a-z]{1,24}([_-][a-z]{1,24}){0,3}", re.IGNORECASE)
_PLACE = "{}"


class StepNames:
    """Names steps; a number of templates that is not bounded by nature is bounded here."""

    def __init__(self, max_names: int = 500) -> None:
        self._max_names = max_names
        self._templates: set[str] = set()
        self.overflowed = 0
        """Steps that are called `other` because of the cap."""

    def name(
        self, given: str, kind: Kind, route: str, method: str, path: str, operation: str
    ) -> tuple[str, str]:
        """Give name and source (`header`, `route`, `operation`); `given` is what a header said, `path` the upstream's."""
        if given:
            return given, "header"
        if kind in (Kind.LLM, Kind.EMBEDDING):
            return operation, "operation"
        name = f"{route} {method} {template(path)}"
        if name not in self._templates:
            if len(self._templates) >= self._max_names:
                self.overflowed += 1
                return OTHER_STEP, "route"
            self._templates.add(name)
        return name, "route"


def template(path: str) -> str:
    """Keep what looks like a word of an API; everything else becomes `{}`, and what is deep is cut."""
    segments = [segment for segment in path.split("/") if segment]
    kept = [
        segment if _WORD.fullmatch(segment) else _PLACE
        for segment in segments[:MAX_SEGMENTS]
    ]
    return "/" + "/".join(kept) + ("/..." if len(segments) > MAX_SEGMENTS else "")
