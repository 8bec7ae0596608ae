import stat
from pathlib import Path

import msgspec
import pytest

from proxy.config import InForce, RouteSettings, Settings, load, reloaded
from proxy.config.built_in import built_in_routes
from proxy.errors import StartError
from proxy.judge.settings import PolicySettings

POLICIES = {
    "caps": {"mode": "off", "cost_usd": 0.00001, "when": [{"agent": "off", "steps": 3, "cost_usd": None}]},
    "budgets": [{"name": "no", "per": "tenant", "period": "day", "tokens": 10**12}],
}  # fmt: skip


@pytest.fixture
def in_force(tmp_path: Path) -> InForce:
    (tmp_path / "run").mkdir()
    return InForce(tmp_path, "tacho")


def test_a_child_reads_what_was_written(in_force: InForce):
    settings = Settings(
        secret="0123456789abcdef: é",
        policies=msgspec.convert(POLICIES, PolicySettings),
        routes={**built_in_routes("127.0.0.1:4141", "", has_clients=False), "on": RouteSettings("http://h", kind="tool")},
    )  # fmt: skip
    in_force.write(settings)
    assert load(str(in_force.path), {}) == settings


def test_it_is_its_owner_s_and_replaced_whole(in_force: InForce):
    in_force.write(Settings(secret="0123456789abcdef"))
    (in_force.path.parent / f".{in_force.path.name}").write_text("of one that died")
    in_force.write(Settings())
    assert stat.S_IMODE(in_force.path.stat().st_mode) == 0o600
    assert "0123456789abcdef" not in in_force.path.read_text()
    assert [each.name for each in in_force.path.parent.iterdir()] == ["settings.tacho.yaml"]  # fmt: skip
    in_force.remove()
    in_force.remove()
    assert not in_force.path.exists()


def test_where_it_cannot_be_written_it_says_so(tmp_path: Path):
    with pytest.raises(StartError, match=r"settings.tacho.yaml cannot be written: "):
        InForce(tmp_path / "none", "tacho").write(Settings())


def test_what_needs_a_restart_stays_after_a_reload():
    new = Settings(workers=3, state="redis://h", default_route="x", policies=PolicySettings(strict=True))  # fmt: skip
    assert reloaded(Settings(), new) == Settings(default_route="x", policies=PolicySettings(strict=True))  # fmt: skip
