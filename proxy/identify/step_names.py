"""What a step is called.

What lives here: the rungs header → tool → results that are read → template of route and path → operation. What does not: reading bodies. A raw URL is
never a name: ids, tokens and personal data stand in URLs.
"""

import re

from proxy.model import Kind

MAX_SEGMENTS = 4
OTHER_STEP = "other"
_WORD = re.compile(r"v[0-9]{1,2}|[a-z]{1,24}([_-][a-z]{1,24}){0,3}", re.IGNORECASE)
_TOOL = re.compile(r"[\w./:-]{1,128}", re.ASCII)
"""What servers call their tools; a model that is astray calls for anything."""
_PLACE = "{}"
_NAMED_BY_OPERATION = (Kind.LLM, Kind.EMBEDDING, Kind.MCP)


class StepNames:
    """Names steps; a number of names that is not bounded by nature is bounded here."""

    def __init__(self, max_names: int = 500) -> None:
        self._max_names = max_names
        self._tools: set[str] = set()
        """Names made of tools: of the call of one, of reading its result."""
        self._templates: set[str] = set()
        self.overflowed = 0
        """Steps that are called `other` because of the cap."""

    def name(
        self,
        given: str,
        kind: Kind,
        route: str,
        method: str,
        path: str,
        operation: str,
        tool: str = "",
        after: str = "",
    ) -> tuple[str, str]:
        """Give name and source (`header`, `tool`, `results`, `route`, `operation`).

        `given` is what a header said, `tool` what an MCP call names, `path` the upstream's, `after` what the call reads (`answering.py`).
        """
        if given:
            return given, "header"
        if tool:
            known = _TOOL.fullmatch(tool) is not None
            return self._capped(self._tools, tool) if known else OTHER_STEP, "tool"
        if after:
            return self._capped(self._tools, after), "results"
        if kind in _NAMED_BY_OPERATION:
            return operation, "operation"
        name = f"{route} {method} {template(path)}"
        return self._capped(self._templates, name), "route"

    def _capped(self, known: set[str], name: str) -> str:
        if name not in known:
            if len(known) >= self._max_names:
                self.overflowed += 1
                return OTHER_STEP
            known.add(name)
        return name


def template(path: str) -> str:
    """Keep what looks like a word of an API; everything else becomes `{}`, and what is deep is cut."""
    segments = [segment for segment in path.split("/") if segment]
    kept = [
        segment if _WORD.fullmatch(segment) else _PLACE
        for segment in segments[:MAX_SEGMENTS]
    ]
    return "/" + "/".join(kept) + ("/..." if len(segments) > MAX_SEGMENTS else "")
