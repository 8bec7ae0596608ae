"""The settings' types and defaults: frozen structs, one per section of the file.

What lives here: what can be set, with units and edge cases. What does not: reading (`loader.py`), checks beyond types
(`checks.py`). Structs that hold secrets hide them in their `repr`.
"""

from typing import Literal

import msgspec

from proxy.judge.retries import RetrySettings
from proxy.judge.settings import PolicySettings

RouteKind = Literal["llm", "tool", "mcp", "embedding", "other"]


class TlsListener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Certificate and key (PEM files) of a listener; both or none."""

    cert_file: str
    key_file: str


class AwsSigning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With which key, and for where, a route signs requests to AWS; the keys stand in the environment."""

    region: str = ""
    """Empty: the region in the route's host, else the one that the agent signed for."""
    service: str = ""
    """Empty: `bedrock`, or `bedrock-mantle` where the host says so."""
    access_key_id_env: str = "AWS_ACCESS_KEY_ID"
    secret_access_key_env: str = "AWS_SECRET_ACCESS_KEY"
    session_token_env: str = "AWS_SESSION_TOKEN"
    """Needed for temporary keys only; nothing is sent where it is not set."""


class FallbackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another route to which calls may go."""

    route: str
    key: Literal["own", "agent", "none"] = "own"
    """Whose credential goes there: the route's own (`upstream_key_env`, `sign`), the agent's (of the same provider only), or none."""
    models: dict[str, str] = {}
    """What models are called there; `*` stands for all others."""


class RouteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One upstream; the key in `routes:` is the first path segment on the data port."""

    url: str
    """http(s) base URL; its path (and query) come before the rest of the request's path."""
    kind: RouteKind = "llm"
    provider: str = ""
    """One of `proxy.providers`, or any other word; the column `provider`. Default: whom the route's name or host belongs to, else its name."""
    dialect: str = ""
    """Forces the wire family instead of recognising it."""
    stream_usage: Literal["inject", "estimate", "off", ""] = ""
    """Empty: `inject` where the provider's chat streams carry usage only when asked (`docs/providers.md`), else `estimate`."""
    websocket: bool = False
    """Relay upgrades to WebSocket; off: 426."""
    allow_link_local: bool = False
    """Allow an upstream that resolves to a link-local (cloud metadata) address."""
    ca_file: str = ""
    """PEM file of the authorities to trust for this upstream, instead of the system's."""
    upstream_key_env: str = ""
    """Environment variable whose value replaces a client key that stands in the provider's slot."""
    sign: Literal["aws", ""] = ""
    """`aws`: requests without a bearer key are signed anew, since an agent's signature is for this proxy's host."""
    aws: AwsSigning = AwsSigning()
    fallback: tuple[FallbackSettings, ...] = ()
    """Other routes to which a call goes while this one cannot be reached, in this order."""
    retries: RetrySettings | None = None
    """`None`: the proxy tries nothing again."""
    connect_timeout_seconds: float | None = None
    first_byte_timeout_seconds: float | None = None
    idle_timeout_seconds: float | None = None
    """`None`: the value of `timeouts`."""


class AdminSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The admin port: metrics, health, status."""

    listen: str = "127.0.0.1:4142"
    token: str = ""
    """Required off loopback; better given as TACHO_ADMIN_TOKEN."""

    def __repr__(self) -> str:
        """Hide the token."""
        return _masked(self, "token")


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The embedded store's ClickHouse HTTP interface. Empty tokens are made on first start, 0600, in `data_dir`."""

    listen: str = "127.0.0.1:4143"
    read_token: str = ""
    write_token: str = ""

    def __repr__(self) -> str:
        """Hide the tokens."""
        return _masked(self, "read_token", "write_token")


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Caps on what the data path holds; each has a counter of what it cost."""

    request_buffer_bytes: int = 8 << 20
    """Largest request body that is read whole; larger ones stream through unread."""
    request_buffers_total_bytes: int = 256 << 20
    max_inflight: int = 10_000
    """Calls under way; beyond it 503."""
    max_header_line_bytes: int = 8190
    """Longest request line or header line of a request."""
    max_header_bytes: int = 64 << 10
    """Largest head of a request."""
    max_headers: int = 128
    max_response_header_bytes: int = 256 << 10
    meter_buffer_bytes: int = 8 << 20
    """Most that the meter keeps or inflates of one answer."""
    max_series: int = 5_000
    max_accounts: int = 200_000
    """Sums, ages, series, gates and breakers that policies keep in memory, of each sort; one takes a quarter of a kilobyte."""


class TimeoutSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds; `None` is no limit."""

    connect_seconds: float = 10.0
    first_byte_seconds: float | None = None
    idle_seconds: float = 600.0
    """Longest gap between two chunks of an answer."""
    body_idle_seconds: float = 60.0
    """Longest gap between two chunks of a request's body."""
    write_stall_seconds: float = 60.0
    """Longest time that an agent may refuse to read."""
    keepalive_seconds: float = 75.0
    upstream_keepalive_seconds: float = 15.0
    drain_seconds: float = 30.0


class SpoolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The raw spool and the row log."""

    max_bytes: int = 4 << 30
    """Most that the raw spool takes; beyond it records are dropped and counted."""
    segment_bytes: int = 16 << 20
    segment_seconds: float = 60.0
    fsync: Literal["always", "interval", "never"] = "interval"
    fsync_interval_seconds: float = 0.5
    wait_ms: int = 50
    """Longest that an answer waits for its record to be written."""
    min_free_bytes: int = 64 << 20
    """Free space that is left to others."""
    row_log_max_bytes: int = 8 << 30
    row_log_retention_hours: float = 72.0


class ClickHouseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where rows go: `embedded`, or the http(s) URL of a server; empty switches it off."""

    url: str = "embedded"
    user: str = "default"
    password: str = ""
    database: str = "tacho"
    cluster: str = ""
    ca_file: str = ""
    retention_days: int = 90

    def __repr__(self) -> str:
        """Hide the password."""
        return _masked(self, "password")


class JsonlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows as JSON lines, one file a table; an empty directory switches it off."""

    directory: str = ""
    rotate_bytes: int = 256 << 20
    keep_files: int = 10


class ExporterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The destinations."""

    clickhouse: ClickHouseSettings = ClickHouseSettings()
    jsonl: JsonlSettings = JsonlSettings()


class ClientSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One client key (its name is the key in `clients:`) and what it may do."""

    key_env: str
    """Environment variable that holds the key."""
    tenant: str = ""
    agent: str = ""
    may_set: tuple[Literal["tenant", "agent"], ...] = ()
    routes: tuple[str, ...] = ()
    """Routes that the key may use; empty: all."""


class UnpricedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of a model that has no price; self-hosted ones are none of these."""

    policy: Literal["assume", "allow", "block"] = "assume"
    """`assume`: it costs the rates below, marked `assumed`, so that no cap is bypassed; `allow`: its cost is NULL; `block`: 400."""
    input_usd_per_mtok: float = 5.0
    output_usd_per_mtok: float = 25.0


class PriceRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other prices than the table's; the first rule that fits a call counts, alone."""

    provider: str = ""
    """Name in the column `provider`, or in the price table; empty: any."""
    model: str = "*"
    """Name of a model, as it is served or as the table knows it; `*`, `?` and `[…]` stand for others."""
    tenant: str = ""
    route: str = ""
    rates: dict[str, float] = {}
    """USD for a million tokens, by unit (`input`, `output`, `cache_read`, …); units that are not named keep the table's."""
    multiply: float = 1.0
    """Factor for all rates: 0.8 is a fifth off, 1.1 a surcharge."""


class AgentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of agents."""

    rename: dict[str, str] = {}
    """Other names for agents that are named by their prompt, by the name that was made."""


class RunSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a run lives, and how many do."""

    idle_seconds: float = 1800.0
    """A run ends when it has been idle for so long; a call under way is not idle."""
    max_live: int = 10_000
    """Beyond it the run that has been idle for the longest ends; one takes up to 20 KB of memory."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a user can set."""

    listen: str = "127.0.0.1:4141"
    listen_tls: TlsListener | None = None
    admin: AdminSettings = AdminSettings()
    store: StoreSettings = StoreSettings()
    data_dir: str = ".tacho"
    workers: int = 1
    """Processes that serve the data port; more than one share what they know through `state`."""
    state: str = "memory"
    """Who remembers runs: `memory`, or the URL of a Redis; workers and replicas with the same one and the same `secret` share it."""
    state_wait_ms: int = 50
    """Longest that a call waits for one answer of Redis; beyond it the call goes on without what is remembered, counted."""
    instance: str = ""
    """Name of this installation in the column `instance`; default: the host's name."""
    tenant: str = "default"
    env: str = ""
    agent: str = ""
    secret: str = ""
    """Keys the hashes of callers and text; better given as TACHO_SECRET; made on first start when empty."""
    default_route: str = ""
    response_headers: bool = True
    """Add x-tacho-* to answers."""
    routes: dict[str, RouteSettings] = {}
    clients: dict[str, ClientSettings] = {}
    agents: AgentSettings = AgentSettings()
    runs: RunSettings = RunSettings()
    limits: LimitSettings = LimitSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    spool: SpoolSettings = SpoolSettings()
    exporters: ExporterSettings = ExporterSettings()
    prices: tuple[PriceRule, ...] = ()
    unpriced: UnpricedSettings = UnpricedSettings()
    policies: PolicySettings = PolicySettings()
    egress_proxy: str = ""
    """http://HOST:PORT through which upstreams are reached (CONNECT for https)."""
    ca_file: str = ""
    """PEM file of authorities to trust for upstreams, instead of the system's."""

    def __repr__(self) -> str:
        """Hide the secrets."""
        return _masked(self, "secret", "state", "egress_proxy")


def _masked(section: msgspec.Struct, *hidden: str) -> str:
    fields = (
        f"{name}={'(hidden)' if name in hidden and value else repr(value)}"
        for name, value in msgspec.structs.asdict(section).items()
    )
    return f"{type(section).__name__}({', '.join(fields)})"
