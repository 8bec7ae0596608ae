"""Asking Redis what is settled on accounts, for the gauges of budgets; no call waits for it.

What lives here: the script, and asking it. What does not: the accounts (`redis_accounts_lua.py`), who tells of them (`redis_claims.py`).
"""

from collections.abc import Mapping, Sequence

from proxy.state.redis_asked import Script, Unavailable
from proxy.state.redis_line import Line

_PATIENT_SECONDS = 5.0

SPENT = Script("""
local found, now = {}, tonumber(ARGV[2])
for at = 3, #ARGV do
  local account = redis.call('HMGET', ARGV[1] .. 't:' .. ARGV[at], 'e', 'v')
  found[#found + 1] = tonumber(account[1] or '0') > now and account[2] or '0'
end
return found
""")
"""ARGV: prefix, now; keys of accounts that are nobody's. Reply: what is settled on each."""


async def spent(line: Line, prefix: bytes, keys: Sequence[int], now_us: int) -> Mapping[int, int] | None:  # fmt: skip
    """See `State.spent`."""
    if not keys:
        return {}
    args = [prefix, b"%d" % now_us, *(key.to_bytes(8, "big") for key in keys)]
    try:
        reply = await line.ask(SPENT, args, _PATIENT_SECONDS)
    except Unavailable:
        return None
    return dict(zip(keys, map(int, reply), strict=True))
