"""What a worker says of itself."""

from pathlib import Path

import msgspec

from proxy.telemetry import Family
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for


async def test_a_worker_is_ready_while_it_serves_and_says_how_it_fares(
    proxy: Proxy, data_dir: Path
):
    assert proxy.worker is not None
    probes = proxy.worker.probes()
    assert probes.ready()
    assert probes.health() == (True, {"degraded": []})
    status = probes.status()
    assert isinstance(status, dict)
    assert (status["inflight"], status["spool_trouble"], status["state_trouble"]) == (0, "", "")  # fmt: skip
    families = msgspec.msgpack.decode(probes.metrics(), type=list[Family])
    assert "tacho_inflight" in {each.name for each in families}


async def test_a_worker_names_what_of_its_work_fails(origin: RawOrigin, data_dir: Path):
    away = settings_for(data_dir, origin, state="redis://127.0.0.1:1/0", secret="s")
    async with running(away) as proxy:
        assert proxy.worker is not None
        is_well, said = proxy.worker.probes().health()
    assert is_well
    assert [each.partition(":")[0] for each in said["degraded"]] == ["state"]
