"""What runs inside Redis when a call is admitted: the claims of its policies, its run, its facts, in one script.

What lives here: the script, in Lua, and reading what it replies. What does not: what it is made of, accounts (`redis_accounts_lua.py`) and
facts (`redis_scripts.py`), and writing its arguments (`redis_values.py`, `redis_claims.py`).

Nothing is written before all that may speak against the call is read: another call that came first, then the claims, whose accounts belong
to the run, its root and its session as they are known here. A refused call leaves nothing but that its run has been heard of, so that who
goes on asking does not get a new run, and a new allowance, when this one would have ended.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from proxy.identify.changes import Change, Push
from proxy.identify.facts import Run
from proxy.judge.claims import Owners
from proxy.state.joining import joined, owners_of
from proxy.state.redis_accounts_lua import FUNCTIONS
from proxy.state.redis_scripts import APPLYING, BOUNDS
from proxy.state.redis_values import Names, admission, run_of, time_of, turn_of

_FIRST_CLAIM = 24

_ADMIT = """
local run, parent, now, turn = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key, past = prefix .. 'r:' .. run, prefix .. 'p:' .. run

-- 1. What may speak against it: another call that came first, and the claims.
if FIRST > FIRST_CLAIM and accounts.is_stale(ARGV[21], ARGV[22]) then return false end
if ARGV[8] ~= '' then
  for at = FIRST, #ARGV do
    if sub(ARGV[at], 1, 1) == 'p' then
      local new = parsed(ARGV[at])
      local known = call('HGET', new.fact, new.run .. new.step)
      if known and new.step == ARGV[8] then
        if sub(known, 10, 13) >= new.attempt then return false end
      elseif known and new.continued_by ~= '' then
        local by = sub(known, 33, 32 + tonumber(sub(known, 30, 32)))
        if by ~= '' and by ~= new.continued_by then return false end
      end
    end
  end
end

local place = is_live(run) and key or call('EXISTS', past) == 1 and past
local root, owners = ARGV[11], {ARGV[18], ARGV[19], ARGV[20]}
if place then
  local known = call('HMGET', place, 'root_owner', 'session_owner')
  owners[2] = known[1] or owners[2]
  if known[2] and known[2] ~= '' then owners[3] = known[2] end
elseif parent ~= '' then
  local known = call('HMGET', prefix .. 'r:' .. parent, 'root', 'root_owner')
  root, owners[2] = known[1] or root, known[2] or owners[2]
end
local judged = FIRST > FIRST_CLAIM and accounts.judge(FIRST_CLAIM, FIRST - 1, owners, tonumber(ARGV[23]))
if judged and judged.refused then
  if place == key then touch(run, now) end
  return {accounts.refuse(judged), place and call('HGETALL', place) or {}, root}
end

-- 2. The run.
if place == past then
  call('RENAME', past, key)
  lives[run] = true
end
if place then
  local known = call('HMGET', key, 'turn', 'session', 'agent')
  if turn > known[1] then call('HSET', key, 'turn', turn) end
  if known[2] == '' then call('HSET', key, 'session', ARGV[13], 'session_owner', ARGV[20]) end
  if known[3] == '' then call('HSET', key, 'agent', ARGV[14]) end
else
  call('HSET', key, 'tenant', ARGV[9], 'run', ARGV[10], 'root', root, 'parent', ARGV[12], 'session', ARGV[13],
       'agent', ARGV[14], 'source', ARGV[15], 'turn', turn, 'step', 0, 'began', ARGV[16], 'seen', now,
       'root_owner', owners[2], 'session_owner', ARGV[20])
  lives[run] = true
end
local number = '00000000'
if ARGV[7] == '1' then number = string.format('%08d', call('HINCRBY', key, 'step', 1)) end
touch(run, now)

-- 3. What the claims came to, and the facts.
local answer = judged and accounts.admit(judged, ARGV[21])
apply(FIRST, run, number)
return {answer, call('HGETALL', key)}
"""

ADMIT = (
    f"local FIRST_CLAIM = {_FIRST_CLAIM}\nlocal FIRST = FIRST_CLAIM + ARGV[17]\n"
    + BOUNDS
    + APPLYING
    + FUNCTIONS
    + _ADMIT
)
"""ARGV: prefix, seconds to live, run, parent, now, turn, is a step, own step or nothing (then nobody can have come first), tenant,
run's id, root, parent's id, session, agent, source, began; how many claims, the names under which accounts belong to run, root and session,
the worker's, its connection, the time by which accounts go; claims; changes. Reply: nil where another call came first; else what became of the claims, and the run's hash; of a call that
was refused also the root that a new run would have."""


def owners_in(run: Run) -> Owners:
    """Name the owners of the accounts of a run's calls."""
    return owners_of(run.tenant, run.run_id, run.root_run_id, run.session_id)


def arguments(run: Run, names: Names, is_step: bool, step_id: str) -> list[bytes]:
    """Write what is said of a call beside its claims and what it changes."""
    return [
        names.run(run.tenant, run.run_id),
        names.run(run.tenant, run.parent_run_id),
        time_of(run.seen_us),
        turn_of(run),
        b"%d" % is_step,
        step_id.encode(),
        *admission(run),
    ]


def is_admitted(reply: Sequence[object]) -> bool:
    """Tell whether nothing spoke against a call."""
    return len(reply) == 2


def decided(run: Run, reply: Sequence[object]) -> Run:
    """Read a call's run as it now is; of a refused one, as it was decided on. Raises `ValueError` or `KeyError` where it is of another version."""
    pairs = reply[1]
    assert isinstance(pairs, list)
    if is_admitted(reply):
        return run_of(pairs)
    if pairs:
        known = run_of(pairs)
        return replace(joined(known, run), seen_us=max(known.seen_us, run.seen_us))
    root = reply[2]
    assert isinstance(root, bytes)
    return replace(run, root_run_id=root.decode("utf-8", "surrogatepass"), step_seq=0)


def failed(changes: Sequence[Change], run: Run) -> list[Change]:
    """Say of a call that was just remembered as the last one of its run that it came to nothing."""
    return [
        replace(each, asked=replace(each.asked, state="failed", step_seq=each.asked.step_seq or run.step_seq))
        for each in changes
        if isinstance(each, Push) and each.asked.run_id == run.run_id and each.asked.state == "open"
    ]  # fmt: skip
