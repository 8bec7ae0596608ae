"""Finding runs in Redis by the beginning of their ids, for people who ask; no call waits for it.

What lives here: the script, and asking it until all live runs were looked at. What does not: the other scripts (`redis_scripts.py`).
"""

from proxy.identify.facts import Run
from proxy.identify.hashing import utf8
from proxy.state.finding import Finding
from proxy.state.redis_asked import Kept, Script, Unavailable
from proxy.state.redis_line import Line
from proxy.state.redis_values import run_of

_SLICE = 500
"""So many runs are looked at in one go: Redis does nothing else meanwhile."""
_PATIENT_SECONDS = 5.0

FIND = Script("""
local prefix, begin, tenant, session = ARGV[1], ARGV[4], ARGV[5], ARGV[6]
local scanned = redis.call('ZSCAN', prefix .. 'seen', ARGV[2], 'COUNT', ARGV[3])
local found = {}
for at = 1, #scanned[2], 2 do
  local key = prefix .. 'r:' .. scanned[2][at]
  local known = redis.call('HMGET', key, 'run', 'tenant', 'session')
  local fits = known[1] and (string.sub(known[1], 1, #begin) == begin or (session == '1' and known[3] == begin))
  if fits and (tenant == '' or known[2] == tenant) then found[#found + 1] = redis.call('HGETALL', key) end
end
return {scanned[1], found}
""")
"""ARGV: prefix, cursor, how many runs to look at, the id's beginning, tenant or nothing, whether a session of this name counts, too. Reply:
the next cursor, the runs' hashes."""


async def find(line: Line, prefix: bytes, kept: Kept, finding: Finding) -> list[Run] | None:  # fmt: skip
    """See `State.find`."""
    about = [utf8(finding.name), utf8(finding.tenant), b"%d" % finding.of_session]
    found: dict[tuple[str, str], Run] = {}
    cursor = b"0"
    try:
        while True:
            cursor, hashes = await line.ask(FIND, [prefix, cursor, b"%d" % _SLICE, *about], _PATIENT_SECONDS)  # fmt: skip
            for pairs in hashes:
                _add(found, pairs, kept)
            if cursor == b"0":
                return finding.best(found.values())
    except Unavailable:
        return None


def _add(found: dict[tuple[str, str], Run], pairs: list[bytes], kept: Kept) -> None:
    """Add a run; one may be met twice."""
    try:
        run = run_of(pairs)
    except (ValueError, KeyError):
        kept.unwritable += 1
        return
    found[run.tenant, run.run_id] = run
