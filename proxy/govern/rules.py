"""The policies under one set of settings, and what of them counts for a call.

What lives here: looking that up once for all calls of a site. What does not: one call (`tab.py`), the policies (`proxy.judge`).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.govern.asking import Asking, site_of
from proxy.judge.bench import MAX_SITES, Bench, Needs
from proxy.judge.gates import Gates, Passage
from proxy.judge.matching import effective
from proxy.judge.tool_call_settings import ToolCallSettings


class Heed(NamedTuple):
    """What counts for a call, by the policies of its site."""

    needs: Needs
    passage: Passage
    tool_calls: ToolCallSettings

    @property
    def is_limited(self) -> bool:
        """Whether anything is looked at."""
        return self.needs.anything or bool(self.passage.claims) or self.tool_calls.mode != "off"  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """The policies under one set of settings."""

    bench: Bench
    gates: Gates
    tool_calls: ToolCallSettings
    names_agents: bool = False
    """Some limits are those of certain agents: whose a call is may be known only from its run."""
    _heeded: dict[tuple[str, ...], Heed] = field(default_factory=dict)

    def heed(self, asking: Asking) -> Heed:
        """Say what counts for a call."""
        ask = asking.ask
        where = (asking.tenant, asking.agent, asking.caller, asking.route, ask.model, ask.kind, asking.origin)  # fmt: skip
        heed = self._heeded.get(where)
        if heed is None:
            if len(self._heeded) >= MAX_SITES:
                self._heeded.clear()  # models' names come from agents; to make one anew takes microseconds
            site = site_of(asking)
            passage = self.gates.passage(site, asking.origin)
            answers = effective(self.tool_calls, self.tool_calls.when, site)
            heed = self._heeded[where] = Heed(self.bench.needs(site), passage, answers)
        return heed
