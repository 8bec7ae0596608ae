"""Settings: their types, loader and checks; the only reader of settings files and of the environment.

What lives here: the settings as frozen structs (`structs.py`), one YAML file with `TACHO_*` overrides (`loader.py`), the routes
that need no settings (`built_in.py`), checks
(`checks.py` and what it names), listen addresses (`addresses.py`), keys that stand in the environment (`keys.py`), the data directory and the
secrets that are made in it on first start (`data_dir.py`), what a reload can change (`reload.py`), and the copy that child processes
read (`in_force.py`). What does not: what the settings do; each phase gets its own small dataclass, built by `worker.py` (or `exporters/worker.py`) from these.

Everything is checked before anything listens: an unknown key or a bad value raises `SettingsError`, whose message names
the key's path, the value and what would be right.
"""

from proxy.config.addresses import Address, parse_address
from proxy.config.built_in import built_in_routes
from proxy.config.data_dir import Secrets, ensure_data_dir
from proxy.config.in_force import InForce
from proxy.config.keys import Keys, read_keys
from proxy.config.loader import as_environment, environment, load
from proxy.config.reload import reloadable, reloaded
from proxy.config.state_checks import MEMORY, check_shared, worker_names, wrong_with
from proxy.config.structs import (
    AdminSettings,
    AgentSettings,
    AwsSigning,
    ClickHouseSettings,
    ClientSettings,
    ExporterSettings,
    JsonlSettings,
    LimitSettings,
    PriceRule,
    RouteKind,
    RouteSettings,
    RunSettings,
    Settings,
    SpoolSettings,
    StoreSettings,
    TimeoutSettings,
    TlsListener,
    UnpricedSettings,
)

__all__ = [
    "MEMORY",
    "Address",
    "AdminSettings",
    "AgentSettings",
    "AwsSigning",
    "ClickHouseSettings",
    "ClientSettings",
    "ExporterSettings",
    "InForce",
    "JsonlSettings",
    "Keys",
    "LimitSettings",
    "PriceRule",
    "RouteKind",
    "RouteSettings",
    "RunSettings",
    "Secrets",
    "Settings",
    "SpoolSettings",
    "StoreSettings",
    "TimeoutSettings",
    "TlsListener",
    "UnpricedSettings",
    "as_environment",
    "built_in_routes",
    "check_shared",
    "ensure_data_dir",
    "environment",
    "load",
    "parse_address",
    "read_keys",
    "reloadable",
    "reloaded",
    "worker_names",
    "wrong_with",
]
