"""The section `policies` of the settings.

What lives here: the section as a whole. What does not: the settings of each policy (its own file), whether they make sense
(`config/policy_checks.py`), reading them (`config/`).
"""

from typing import Literal

import msgspec

from proxy.judge.budgets import BudgetSettings
from proxy.judge.caps import BackstopSettings, CapSettings
from proxy.judge.gate_settings import (
    BreakerSettings,
    GateSettings,
    QuotaGateSettings,
    RateGateSettings,
)
from proxy.judge.loops import (
    CycleSettings,
    NoProgressSettings,
    RepeatSettings,
    SameErrorSettings,
)
from proxy.judge.matching import Where
from proxy.judge.spend_rate import SpendRateSettings
from proxy.judge.tool_call_settings import ToolCallSettings


class PolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may do how much. By default everything observes but the backstop."""

    backstop: BackstopSettings = BackstopSettings()
    caps: CapSettings = CapSettings()
    budgets: tuple[BudgetSettings, ...] = ()
    spend_rate: SpendRateSettings = SpendRateSettings()
    repeat: RepeatSettings = RepeatSettings()
    cycle: CycleSettings = CycleSettings()
    same_error: SameErrorSettings = SameErrorSettings()
    no_progress: NoProgressSettings = NoProgressSettings()
    tool_calls: ToolCallSettings = ToolCallSettings()
    breaker: BreakerSettings = BreakerSettings()
    rate_gate: RateGateSettings = RateGateSettings()
    quota_gate: QuotaGateSettings = QuotaGateSettings()
    polling_tools: tuple[str, ...] = ("*poll*", "*wait*", "*sleep*")
    """Shell-style patterns of names of tools that are called again and again on purpose: their calls are in no pattern of a loop."""
    strict: bool = False
    """Reserve what a call may cost at most instead of what it is expected to: no overshoot, and fewer calls at once."""
    notes: bool = False
    """Tell the model of a warning that an enforced limit of its run, or the pattern of a loop, is near: in the newest tool result."""
    on_error: Literal["allow", "block"] = "allow"
    """What becomes of a call when the policies cannot be asked: a fault here, or Redis does not answer."""

    @property
    def names_agents(self) -> bool:
        """Whether some limits are those of certain agents."""
        several = (self.backstop, self.caps, self.spend_rate, self.repeat, self.cycle, self.same_error, self.no_progress,
                   self.tool_calls, self.breaker, self.rate_gate, self.quota_gate)  # fmt: skip
        places: list[Where] = [*self.budgets]
        for each in several:
            places += each.when
        return any(each.agent for each in places)

    @property
    def gates(self) -> GateSettings:
        """Give the three that know the upstream."""
        return GateSettings(self.breaker, self.rate_gate, self.quota_gate)
