"""Policies as flags change them: `--caps steps=20,turn.cost_usd=1` and `--set policies.repeat.block=5`.

What lives here: reading these flags, and policies with what they say. What does not: what the keys mean and which values make sense
(`proxy.config`), the command (`whatif.py`).
"""

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from proxy.errors import SettingsError

if TYPE_CHECKING:
    from proxy.config import Settings
    from proxy.judge.settings import PolicySettings

_PREFIX = "policies."
_CAPS = "policies.caps."
_PART = re.compile(r"([A-Za-z_]+)((?:\[[0-9]{1,4}\])*)")
_PLACE = re.compile(r"\[([0-9]+)\]")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--caps",
        action="append",
        default=[],
        metavar="NAME=N,…",
        help="caps as under policies.caps: steps=20,cost_usd=5,turn.steps=10; null is no limit",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any key of the policies: policies.repeat.block=5; the value is YAML",
    )


def policies_of(settings: "Settings", caps: Sequence[str], given: Sequence[str]) -> "PolicySettings":  # fmt: skip
    """Give the policies of the settings with the flags' values; `SettingsError` names the key that does not fit."""
    import msgspec

    from proxy.config.policy_checks import check_policies
    from proxy.config.reading import check_value
    from proxy.judge.settings import PolicySettings

    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings.policies))  # fmt: skip
    entries = [entry for text in caps for entry in text.split(",")]
    changes = [_split(entry, "--caps steps=20,cost_usd=5") for entry in entries]
    if changes and document["caps"]["mode"] == "off":
        document["caps"]["mode"] = "observe"  # who names a cap wants to hear of it
    for name, value in changes:
        _put(document, _CAPS + name, value)
    for entry in given:
        name, value = _split(entry, "--set policies.repeat.block=5")
        _put(document, name if name.startswith(_PREFIX) else _PREFIX + name, value)
    check_value(document, PolicySettings, "policies")
    policies = msgspec.convert(document, PolicySettings)
    check_policies(policies, settings.routes)
    return policies


def _split(entry: str, example: str) -> tuple[str, object]:
    from proxy.config.reading import read_yaml

    name, equals, text = entry.partition("=")
    if not (name.strip() and equals and text.strip()):
        raise SettingsError(f"{entry.strip() or 'nothing'}: is no name with a value; write it as in {example}")  # fmt: skip
    try:
        return name.strip(), read_yaml(f"value: {text}").get("value")
    except SettingsError as error:
        raise SettingsError(f"{name.strip()}: {error}") from error


def _put(document: dict[str, Any], key: str, value: object) -> None:
    """Set a key; whether there is one of this name is seen with the whole document."""
    *sections, last = _steps(key)
    here: Any = document
    for step in sections:
        here = _below(here, step, key)
    if isinstance(last, int):
        _below(here, last, key)
    elif not isinstance(here, dict):
        raise SettingsError(f"{key}: there is no such key")
    here[last] = value


def _below(here: Any, step: str | int, key: str) -> Any:
    if isinstance(step, int) and isinstance(here, list) and step < len(here):
        return here[step]
    if isinstance(step, str) and isinstance(here, dict):
        if here.get(step) is None:
            here[step] = {}
        return here[step]
    raise SettingsError(f"{key}: there is no such key")


def _steps(key: str) -> list[str | int]:
    """Give the parts of a key below `policies`: names, and places in lists."""
    steps: list[str | int] = []
    for part in key.removeprefix(_PREFIX).split("."):
        found = _PART.fullmatch(part)
        if found is None:
            raise SettingsError(f"{key}: is no key; write it as in policies.repeat.block, or policies.budgets[0].cost_usd")  # fmt: skip
        steps += [found[1], *map(int, _PLACE.findall(found[2]))]
    return steps
