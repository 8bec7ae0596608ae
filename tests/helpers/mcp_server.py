"""A real MCP server, of the `mcp` package; run as a script with a transport and a port.

What lives here: tools that work, fail and report progress. What does not: starting it (`mcp_process.py`), clients, expectations.
"""

import sys

from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPError

server = MCPServer("tickets")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail() -> str:
    """Fail as tools do."""
    raise ValueError("no such ticket")


@server.tool()
def refuse() -> str:
    """Fail as the protocol does."""
    raise MCPError(-32603, "the database is away")


@server.tool()
async def work(steps: int, ctx: Context) -> str:
    """Report progress."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
    return "done"


@server.resource("ticket://7")
def ticket() -> str:
    """Give a ticket."""
    return "the printer is on fire"


@server.prompt()
def triage(text: str) -> str:
    """Ask for a triage."""
    return f"How urgent is this: {text}"


def _run(transport: str, port: int) -> None:
    if transport == "sse":
        server.run("sse", port=port)
    else:
        flat = transport == "json"
        server.run(
            "streamable-http", port=port, json_response=flat, stateless_http=flat
        )


if __name__ == "__main__":
    _run(sys.argv[1], int(sys.argv[2]))
