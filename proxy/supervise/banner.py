"""What `tacho up` says once it serves, and when it is stopped.

What lives here: the text, also of the stop, pure. What does not: where it is printed (`supervisor.py`). No secret is ever part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

BOLD, DIM, GREEN, RESET = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[0m"
_COLUMNS = 76
"""With the indent, a line of names fits a terminal of 80."""


@dataclass(frozen=True, slots=True)
class Banner:
    """What there is to say; an address that is empty is not part of this half of the product."""

    version: str
    data_dir: str
    proxy_url: str = ""
    """Base URL of the data port, without a slash at the end."""
    routes: Sequence[str] = ()
    """Routes from the settings; `openai` and `anthropic` have lines of their own."""
    providers: Sequence[str] = ()
    """Built-in routes; all but these two share the last lines."""
    admin_url: str = ""
    store_url: str = ""
    admin_token_needed: bool = False
    command: str = "tacho"
    """How this command line is started."""
    options: str = ""
    """What leads other commands to the same data."""

    def text(self, terminal: bool) -> str:
        """Give the lines; with colours only for a terminal."""
        bold, dim, green, reset = (
            (BOLD, DIM, GREEN, RESET) if terminal else ("", "", "", "")
        )
        lines = [
            "",
            f"  {bold}tachograph {self.version}{reset} {green}is running{reset}",
            "",
        ]
        if self.proxy_url:
            lines += [
                f"  {dim}Give your agent one of these, and change nothing else:{reset}",
                "",
            ]
            lines += [f"    {bold}{line}{reset}" for line in self._base_urls()]
            lines.append("")
        lines += [
            f"  {dim}{name:<8}{reset} {value}" for name, value in self._addresses()
        ]
        lines += [
            "",
            f"  {dim}{'next':<8}{reset} {self._next()}",
            f"  {dim}{'stop':<8}{reset} Ctrl-C",
            "",
        ]
        return "\n".join(lines) + "\n"

    def _base_urls(self) -> list[str]:
        own_lines = ("openai", "anthropic")
        others = ", ".join(name for name in self.providers if name not in own_lines)
        return [
            f"OPENAI_BASE_URL={self.proxy_url}/openai/v1",
            f"ANTHROPIC_BASE_URL={self.proxy_url}/anthropic",
            *(
                f"{self.proxy_url}/{route}"
                for route in self.routes
                if route not in own_lines
            ),
            *(
                wrap(
                    f"{self.proxy_url}/PROVIDER/... for {others}",
                    _COLUMNS,
                    break_on_hyphens=False,
                )
                if others
                else []
            ),
        ]

    def _addresses(self) -> list[tuple[str, str]]:
        token = " (token required)" if self.admin_token_needed else ""
        known = [
            ("metrics", f"{self.admin_url}/metrics{token}" if self.admin_url else ""),
            (
                "store",
                f"{self.store_url} (ClickHouse over HTTP; token in {self.data_dir}/read_token)"
                if self.store_url
                else "",
            ),
            ("data", self.data_dir),
        ]
        return [(name, value) for name, value in known if value]

    def _next(self) -> str:
        if self.proxy_url and self.store_url:
            return f"make a call, then: {self.command} runs{self.options}"
        return f"{self.command} status{self.options}"


def stopping(calls: int, seconds: float) -> str:
    """Say what a stop waits for."""
    if not calls:
        return "  stopping: no call is under way"
    who, them = (
        ("1 call has", "it") if calls == 1 else (f"{calls:,} calls have", "them")
    )
    return f"  stopping: {who} up to {seconds:g} s to end; Ctrl-C once more ends {them} now"


STOPPED = "  stopped"
