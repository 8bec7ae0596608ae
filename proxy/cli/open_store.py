"""The store that the settings name, whether the product runs or not.

What lives here: which store is asked. What does not: asking (`store.py`), starting one (`store_alone.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.cli import store
from proxy.cli.options import Loaded
from proxy.cli.quick_status import quick_status
from proxy.errors import TachoError

if TYPE_CHECKING:
    from proxy.cli.store import Store


@contextmanager
def open_store(loaded: Loaded) -> "Iterator[Store]":
    """Give the external store, the running embedded one, or one that runs for this question; `TachoError` where none can."""
    clickhouse = loaded.settings.exporters.clickhouse
    if clickhouse.url == "":
        raise TachoError(
            "exporters.clickhouse.url is empty, so that there is no store to ask; set it to: embedded"
        )
    if clickhouse.url != "embedded":
        yield store.Store(
            clickhouse.url,
            clickhouse.user,
            clickhouse.password,
            clickhouse.database,
            clickhouse.ca_file,
        )
        return
    address = _address(Path(loaded.settings.data_dir).absolute())
    if address:
        yield store.Store.embedded(loaded.settings, address)
        return
    from proxy.cli import store_alone

    with store_alone.store_alone(loaded) as alone:
        yield alone


def _address(data_dir: Path) -> str:
    """Give where the running embedded store listens; nothing where none does, or soon will."""
    known = quick_status(data_dir, "store").get("address", "")
    if known:
        return str(known)
    import asyncio

    return asyncio.run(store.running_store(data_dir))
