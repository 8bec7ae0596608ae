"""What must hold before a process that faces the network starts.

What lives here: checks of the interpreter and the operating system that are the same for each process. What does not: checks
of settings (`config.py`), of ports and locks (`supervise/`).
"""

import resource

from aiohttp import http_parser

from proxy.errors import StartError

FEW_FILES = 4096


def require_c_parser() -> None:
    """Raise `StartError` where aiohttp would parse HTTP in Python: that parser lets smuggled requests through."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:  # type: ignore[misc, comparison-overlap, unused-ignore]
        raise StartError(
            "aiohttp runs without its C parser, whose Python stand-in is too lenient for a proxy; "
            "unset AIOHTTP_NO_EXTENSIONS or install an aiohttp wheel for this platform"
        )


def raise_file_limit() -> int:
    """Raise the number of files that this process and its children may open to the hard limit; give the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            return soft
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def few_files_warning(limit: int) -> str:
    """Give the line that warns of a low limit, or nothing."""
    if limit >= FEW_FILES:
        return ""
    return f"only {limit} open files are allowed, which is about {limit // 3} calls at once; raise it with: ulimit -n 65536"
