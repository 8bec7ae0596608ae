"""Who may keep the state: this process's memory, or Redis at a URL.

What lives here: the check of `state` and `workers`, and what is right for a URL of Redis. What does not: making a connection of one
(`proxy/state/redis_place.py`, which alone imports a client). No message quotes a URL, which may hold a password.
"""

from urllib.parse import parse_qsl, urlsplit

from proxy.config.structs import Settings
from proxy.errors import SettingsError

MEMORY = "memory"
SCHEMES = ("redis", "rediss", "unix")
OPTIONS = frozenset({"db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"})  # fmt: skip
MAX_WORKERS = 256
_EXAMPLE = "redis://[USER:PASSWORD@]HOST:6379/0, or rediss:// for TLS"


def check_state(settings: Settings) -> None:
    """Raise `SettingsError` where nobody can be asked for what workers know, or there are too many of them."""
    state, workers = settings.state, settings.workers
    if state != MEMORY:
        wrong = wrong_with(state)
        if wrong:
            shown = ascii(state) if state.isalnum() else "(not shown)"
            raise SettingsError(f"state: is {shown}; it must be memory, or {wrong}")
    if workers > MAX_WORKERS:
        raise SettingsError(
            f"workers: is {workers}; it must be at most {MAX_WORKERS}, and about one for each core"
        )


def check_shared(settings: Settings) -> None:
    """Raise `SettingsError` where workers could not share what they know; who runs none need not care, and may not have TACHO_STATE."""
    workers = settings.workers
    if settings.state == MEMORY and workers > 1:
        raise SettingsError(
            f"workers: is {workers}, but state is memory, which workers cannot share; "
            "set state (or TACHO_STATE) to redis://HOST:6379/0, or workers to 1"
        )


def worker_names(settings: Settings) -> tuple[str, ...]:
    """Name the workers: their processes, their control sockets, their directories in the spool."""
    return tuple(f"w{number}" for number in range(settings.workers))


def wrong_with(url: str) -> str:
    """Say what would be right, and nothing where the URL is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        return f"a URL like {_EXAMPLE}"
    if parts.scheme not in SCHEMES or url != url.strip():
        return f"a URL like {_EXAMPLE}"
    if unknown := options - OPTIONS:
        return f"a URL with no other options than {', '.join(sorted(OPTIONS))}: {len(unknown)} are unknown"
    if parts.scheme == "unix":
        return "" if parts.path.strip("/") else "unix:///PATH/OF/SOCKET"
    if not host:
        return f"a URL with a host, like {_EXAMPLE}"
    db = parts.path.strip("/")
    if db and not db.isdecimal():
        return f"a URL that ends with a database's number, like {_EXAMPLE}"
    return ""
