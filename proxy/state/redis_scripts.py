"""What runs inside Redis, so that replicas do not come between each other's reading and writing.

What lives here: the scripts of runs and facts, in Lua. What does not: the one that admits a call (`redis_admission.py`), how their
arguments are written and their replies read (`redis_values.py`), sending them (`redis_line.py`).

A script makes the names of its keys itself: Redis Cluster, which must be told them, is not supported. All begin with ARGV[1]:
- `f:` + key: a fact, a hash. Every value begins with a letter: `a` call, `l` link, `o` the run that owns the link, `x` mark of an ambiguous
  one, `w` run that waits, `c` mark of a crowded list, `s` session. A call's field is its run and its step, so that a run's share can be
  taken out; that of a call of no run is its step alone.
- `r:` + run: what is known of a run, a hash, with the names under which accounts belong to its root and its session. `k:` + run + shelf: its facts, the oldest first, a list.
- `p:` + run: what a run was that has ended, a hash: one that comes back goes on where it was.
- `seen`: all runs by the time when they were last seen, a sorted set.

Every key expires. Numbers from outside stand in fixed widths, since Lua writes large ones with 14 digits.
"""

from proxy.identify.changes import Shelf
from proxy.identify.facts import MAX_RECENT, MAX_WAITING, RETRY_US, WINDOW_US
from proxy.identify.sessions import GAP_US
from proxy.state.memory import ROOM

PAST_SECONDS = 6 * 3600
"""For so long a run may come back."""

_TRIM = """
local function trim(fact)
  local oldest, since = nil, nil
  local all = call('HGETALL', fact)
  for at = 1, #all, 2 do
    local seen = sub(all[at + 1], 14, 29)
    if not since or seen < since then oldest, since = all[at], seen end
  end
  call('HDEL', fact, oldest)
end
"""

STRAY = (
    f"local MAX_RECENT, SECONDS = {MAX_RECENT}, {2 * RETRY_US // 1_000_000}\n"
    "local prefix, sub, call = ARGV[1], string.sub, redis.call\n"
    + _TRIM
    + """
for at = 2, #ARGV, 3 do
  local fact, step, value = prefix .. 'f:' .. ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local known = call('HGET', fact, step)
  if value == '' then
    call('HDEL', fact, step)
  else
    if not known or sub(known, 10, 13) <= sub(value, 10, 13) then call('HSET', fact, step, value) end
    if call('HLEN', fact) > MAX_RECENT then trim(fact) end
    call('EXPIRE', fact, SECONDS)
  end
end
return 1
"""
)
"""ARGV: prefix; key, step and call of calls of no run, or nothing instead of a call that is done."""

LOOK = """
local found, ids = {}, ARGV[2]
for at = 1, #ids, 8 do
  local values = redis.call('HVALS', ARGV[1] .. 'f:' .. string.sub(ids, at, at + 7))
  if #values > 0 then
    found[#found + 1], found[#found + 2] = (at - 1) / 8, values
  end
end
return found
"""
"""ARGV: prefix, keys of 8 bytes each. Reply: place, values, place, values …"""

BOUNDS = f"""
local ROOM = {{{", ".join(str(ROOM[shelf]) for shelf in Shelf)}}}
local MAX_RECENT, MAX_WAITING, WINDOW_US = {MAX_RECENT}, {MAX_WAITING}, {WINDOW_US}
local WAITING_SECONDS, SESSION_SECONDS = {2 * WINDOW_US // 1_000_000}, {2 * GAP_US // 1_000_000}
"""

_FORGET = """
local prefix, sub, call = ARGV[1], string.sub, redis.call

local function drop(fact, run)
  if call('HGET', fact, 'o') == 'o' .. run then return call('HDEL', fact, 'o', 'l', 'x') end
  for _, field in ipairs(call('HKEYS', fact)) do
    if #field > 8 and sub(field, 1, 8) == run then call('HDEL', fact, field) end
  end
end
"""

APPLYING = (
    _FORGET
    + _TRIM
    + """
local ttl, lives = ARGV[2], {}

local function is_live(run)
  if lives[run] == nil then lives[run] = call('EXISTS', prefix .. 'r:' .. run) == 1 end
  return lives[run]
end

local function shelve(run, shelf, key)
  local list = prefix .. 'k:' .. run .. shelf
  call('LREM', list, 0, key)
  if call('RPUSH', list, key) > ROOM[tonumber(shelf) + 1] then
    drop(prefix .. 'f:' .. call('LPOP', list), run)
  end
  call('EXPIRE', list, ttl)
end

-- A push, apart: p key(8) shelf(1) run(8) length(3) step number(8) attempt(4) seen(16) length(3) continued_by call
local function parsed(push)
  local named = 21 + tonumber(sub(push, 19, 21))
  local told = named + 31 + tonumber(sub(push, named + 29, named + 31))
  return {fact = prefix .. 'f:' .. sub(push, 2, 9), run = sub(push, 11, 18), step = sub(push, 22, named),
          number = sub(push, named + 1, named + 8), attempt = sub(push, named + 9, named + 12),
          continued_by = sub(push, named + 32, told), rest = sub(push, named + 9)}
end

local function push(change, run, number)
  local new = parsed(change)
  if not is_live(new.run) then return end
  local field = new.run .. new.step
  local known = call('HGET', new.fact, field)
  if not known or sub(known, 10, 13) <= new.attempt then
    if new.number == '00000000' and new.run == run then new.number = number end
    call('HSET', new.fact, field, 'a' .. new.number .. new.rest)
    if not known and call('HLEN', new.fact) > MAX_RECENT then trim(new.fact) end
  end
  call('EXPIRE', new.fact, ttl)
  shelve(new.run, sub(change, 10, 10), sub(change, 2, 9))
end

-- l key(8) shelf(1) run(8) link
local function lead(change, run)
  local fact, owner = prefix .. 'f:' .. sub(change, 2, 9), 'o' .. sub(change, 11, 18)
  local known = call('HMGET', fact, 'o', 'x')
  if not known[1] then
    call('HSET', fact, 'o', owner, 'l', 'l' .. sub(change, 19))
  elseif known[1] ~= owner then
    call('HSET', fact, 'x', 'x')
  elseif not known[2] then
    call('HSET', fact, 'l', 'l' .. sub(change, 19))
  end
  call('EXPIRE', fact, ttl)
  shelve(run, sub(change, 10, 10), sub(change, 2, 9))
end

-- w key(8) run(8) has_tools(1) since(16) waits
local function wait(change)
  local fact, run, since = prefix .. 'f:' .. sub(change, 2, 9), sub(change, 10, 17), sub(change, 19, 34)
  if sub(change, 18, 18) == '1' then call('HSET', fact, run, 'w' .. sub(change, 19)) else call('HDEL', fact, run) end
  local all, oldest, count = call('HGETALL', fact), nil, 0
  for at = 1, #all, 2 do
    if #all[at] == 8 then
      local began = sub(all[at + 1], 2, 17)
      if tonumber(since) - tonumber(began) > WINDOW_US then
        call('HDEL', fact, all[at])
      else
        count = count + 1
        if not oldest or began < oldest[2] then oldest = {all[at], began} end
      end
    end
  end
  if count > MAX_WAITING then
    call('HDEL', fact, oldest[1])
    local known = call('HGET', fact, 'c')
    if not known or sub(known, 2) < oldest[2] then call('HSET', fact, 'c', 'c' .. oldest[2]) end
  end
  call('EXPIRE', fact, WAITING_SECONDS)
end

-- s key(8) seen(16) session
local function keep(change)
  local fact = prefix .. 'f:' .. sub(change, 2, 9)
  local known = call('HGET', fact, 's')
  if not known or sub(known, 2, 17) < sub(change, 10, 25) then
    call('HSET', fact, 's', 's' .. sub(change, 10))
    call('EXPIRE', fact, SESSION_SECONDS)
  end
end

local function apply(first, run, number)
  for at = first, #ARGV do
    local change, kind = ARGV[at], sub(ARGV[at], 1, 1)
    if kind == 'p' then push(change, run, number) elseif kind == 'l' then lead(change, run)
    elseif kind == 'w' then wait(change) else keep(change) end
  end
end

local function touch(run, now)
  local key = prefix .. 'r:' .. run
  if now > call('HGET', key, 'seen') then call('HSET', key, 'seen', now) end
  call('EXPIRE', key, ttl)
  call('ZADD', prefix .. 'seen', call('HGET', key, 'seen'), run)
  call('EXPIRE', prefix .. 'seen', ttl)
end
"""
)

_NOTE = (
    APPLYING
    + """
local run = ARGV[3]
if not is_live(run) then return 0 end
touch(run, ARGV[4])
local key = prefix .. 'r:' .. run
for at, name in ipairs({'attempts', 'retries', 'cost', 'tokens'}) do
  -- A sum beyond 64 bits stays as it was.
  if ARGV[4 + at] ~= '0' then redis.pcall('HINCRBY', key, name, ARGV[4 + at]) end
end
if ARGV[5] ~= '0' or ARGV[9] == 'capped' then call('HSET', key, 'inferred', ARGV[9]) end
if ARGV[10] ~= '' then call('HSET', key, 'reported', ARGV[10]) end
apply(FIRST, run, '00000000')
return 1
"""
)

OWN = (
    f"local SHELVES = {len(Shelf)}"
    + """
local found, run = {}, ARGV[2]
for shelf = 0, SHELVES - 1 do
  for _, key in ipairs(redis.call('LRANGE', ARGV[1] .. 'k:' .. run .. shelf, 0, -1)) do
    local value = redis.call('HGET', ARGV[1] .. 'f:' .. key, run .. ARGV[3])
    if value then
      for _, each in ipairs({shelf, key, value}) do found[#found + 1] = each end
    end
  end
end
return found
"""
)
"""ARGV: prefix, run, step. Reply: where the step's call stands: shelf, key, value, shelf, key, value …"""

CLAIM = (
    _FORGET
    + f"local SHELVES, PAST_SECONDS = {len(Shelf)}, {PAST_SECONDS}"
    + """
local seen, most = prefix .. 'seen', tonumber(ARGV[4])
-- No run lives on in a future that a clock which went back has taken away: those would crowd out all others.
for _, run in ipairs(call('ZRANGEBYSCORE', seen, '(' .. ARGV[5], '+inf', 'LIMIT', 0, most)) do
  if call('EXISTS', prefix .. 'r:' .. run) == 1 then call('HSET', prefix .. 'r:' .. run, 'seen', ARGV[6]) end
  call('ZADD', seen, ARGV[6], run)
end
local ended = call('ZRANGEBYSCORE', seen, '-inf', ARGV[2], 'LIMIT', 0, most)
local crowd = math.min(call('ZCARD', seen) - tonumber(ARGV[3]), most)
if crowd > #ended then ended = call('ZRANGE', seen, 0, crowd - 1) end
local found = {}
for at, run in ipairs(ended) do
  for shelf = 0, SHELVES - 1 do
    local list = prefix .. 'k:' .. run .. shelf
    for _, fact in ipairs(call('LRANGE', list, 0, -1)) do drop(prefix .. 'f:' .. fact, run) end
    call('DEL', list)
  end
  local key, past = prefix .. 'r:' .. run, prefix .. 'p:' .. run
  found[at] = call('HGETALL', key)
  if #found[at] > 0 then
    call('RENAME', key, past)
    call('HDEL', past, 'attempts', 'retries', 'cost', 'tokens', 'inferred', 'reported')
    call('HSET', past, 'ended', '1')
    call('EXPIRE', past, PAST_SECONDS)
  end
  call('ZREM', seen, run)
end
return found
"""
)
"""ARGV: prefix, the time since which a live run was seen, how many may live, how many to give at most, the time
after which none can have been seen, now. Reply: the runs' hashes."""

NOTE = "local FIRST = 11\n" + BOUNDS + _NOTE
"""ARGV: prefix, seconds to live, run, now, attempts, retries, pico-dollars, tokens, inferred, reported; changes. Reply: whether the run lives."""
