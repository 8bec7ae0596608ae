"""The destination ClickHouse: sends batches of rows to the embedded store or to a server, exactly once.

What lives here: `ClickHouseExporter`. What does not: retrying, cursors, poison (`exporters/delivery.py`), tables (`schema.py`), the
store (`embedded.py`). Both ends speak the same HTTP interface, and the rows arrive as the row log holds them.

Exactly once: the same bytes go with the same token until they are in, `async_insert` is off, and the table remembers tokens.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from clickhouse_connect import get_async_client
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from exporters.clickhouse.schema import Layout, create, migrate, version_query
from exporters.clickhouse.store_lock import address_file
from exporters.delivery import Batch, Permanent
from proxy.config import Secrets, Settings
from proxy.errors import TachoError

CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 60
"""A hung server is given up after this; the batch is sent again."""

POISON: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        16,  # NO_SUCH_COLUMN_IN_TABLE
        20,  # NUMBER_OF_COLUMNS_DOESNT_MATCH
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        130,  # CANNOT_READ_ARRAY_FROM_TEXT
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        407,  # DECIMAL_OVERFLOW
        467,  # CANNOT_PARSE_BOOL
    }
)
"""Errors that the same bytes will always meet. All others may pass: a table that is gone, a full disk, a wrong password."""

INSERT_SETTINGS: Final[Mapping[str, Any]] = {
    "async_insert": 0,
    "wait_for_async_insert": 1,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "date_time_input_format": "basic",
    "input_format_skip_unknown_fields": 0,
    "input_format_null_as_default": 1,
}


class UnreachableStoreError(TachoError):
    """There is no store to send to at present; the message says which."""


class ClickHouseExporter:
    """Delivers to one ClickHouse. Any failure but poison closes the connection, and the next batch makes a new one."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        chosen = settings.exporters.clickhouse
        self._settings = chosen
        self._data_dir = Path(settings.data_dir).absolute()
        self._secrets = secrets
        self._layout = Layout(
            database=chosen.database,
            cluster="" if chosen.url == "embedded" else chosen.cluster,
            retention_days=chosen.retention_days,
        )
        self._answer_seconds = answer_seconds
        self._client: AsyncClient | None = None

    async def start(self) -> None:
        """Connect, and make or migrate the tables; raise what stands in the way, to be called again."""
        await self._connected()

    async def export(self, batch: Batch) -> None:
        """Insert the batch's bytes under its token; see `Exporter.export`."""
        client = await self._connected()
        try:
            await client.raw_insert(
                f"{self._layout.database}.{batch.table}",
                insert_block=batch.body,
                fmt="JSONEachRow",
                settings={**INSERT_SETTINGS, "insert_deduplication_token": batch.token},
            )
        except DatabaseError as error:
            if error.code in POISON:
                raise Permanent(f"{batch.table}: {_first_line(error)}") from error
            await self.close()
            raise
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connected(self) -> AsyncClient:
        """Give the connection, made and its tables ready where that has not happened yet."""
        if self._client is None:
            client = await self._connect()
            try:
                await self._prepare(client)
            except BaseException:
                await client.close()
                raise
            self._client = client
        return self._client

    async def _connect(self) -> AsyncClient:
        target, user, password = self._target()
        secure = target.scheme == "https"
        try:
            return await get_async_client(
                host=target.hostname,
                port=target.port or (8443 if secure else 8123),
                username=user,
                password=password,
                secure=secure,
                ca_cert=self._settings.ca_file or None,
                compress=False,
                connect_timeout=CONNECT_SECONDS,
                send_receive_timeout=self._answer_seconds,
            )
        except (ClickHouseError, OSError, TimeoutError) as error:
            raise UnreachableStoreError(
                f"ClickHouse at {target.hostname}:{target.port} cannot be used: {_first_line(error)}"
            ) from error

    def _target(self) -> tuple[SplitResult, str, str]:
        """Give the address, user and password; those of the embedded store are read anew each time: its port may change."""
        if self._settings.url != "embedded":
            return (
                urlsplit(self._settings.url),
                self._settings.user,
                self._settings.password,
            )
        try:
            address = address_file(self._data_dir).read_text(encoding="ascii")
        except OSError as error:
            raise UnreachableStoreError("the embedded store is not running") from error
        return urlsplit(f"http://{address}"), "exporter", self._secrets.write_token

    async def _prepare(self, client: AsyncClient) -> None:
        for statement in create(self._layout):
            await client.command(statement)
        found = int(str(await client.command(version_query(self._layout))))
        for statement in migrate(self._layout, found):
            await client.command(statement)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:500]
