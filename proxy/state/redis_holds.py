"""Who holds what within Redis, so that no reservation outlives its worker for long: leases, in Lua.

What lives here: the text of the functions that write down each worker's reservations, and of the scripts that look after them. What does
not: the accounts (`redis_accounts_lua.py`), when the scripts run (`redis_claims.py`).

A worker's life has a name of 8 bytes, its holder. What it has reserved is part of the accounts, and stands once more, in sums, under its name.
- `BEAT` prolongs the worker's lease, and looks at the others'. A lease that has run out is marked, and runs once more; who is alive, and was
  cut off or had to wait for Redis itself, takes the mark away with its next beat. Of who does not, every reservation is settled at what
  was reserved.
- What was settled so is remembered for a while. Where the worker lives after all and tells what the call came to, that is put right, so
  that everything is settled once and exactly, whatever came first.
- `OWNED` says on a new connection all that a worker holds: what it holds beyond that was reserved by scripts whose answers were lost with the
  connection before, and is free again. Connections have numbers, and what Redis finds of an older one afterwards, having stood still, is
  not done (`is_stale`).

Keys: `holders`, a set; `l:` + holder: the lease, which expires; `h:` + holder: what is reserved, by key and owner, a hash, with `~` where the
lease has run out once; `x:` + holder: what was settled for it, a hash, with the number of its last note under `#`, and
that of its connection under `@`.
"""

from proxy.judge.claims import MOST

LEASE_SECONDS = 15
"""After twice this, and a beat, a dead worker's reservations are settled."""
BEAT_SECONDS = 4.0
A_SWEEP = 500
"""So many accounts are settled in one go: Redis does nothing else meanwhile."""
KEPT_SECONDS = 40 * 86_400
"""Longer than the longest account lives, a month's: holders are known until their reservations are gone."""
SETTLED_SECONDS = 86_400
"""For so long a worker may be cut off, and what it tells then is still put right."""

HOLDING = (
    f"local KEPT_SECONDS, SETTLED_SECONDS = {KEPT_SECONDS}, {SETTLED_SECONDS}"
    + """
local function is_stale(holder, connection)
  return holder ~= '' and tonumber(call('HGET', prefix .. 'x:' .. holder, '@') or '0') > tonumber(connection)
end

-- Whether a note is to be taken in: one that comes again may have been before.
local function is_new(holder, number, is_again)
  if holder == '' then return true end
  local past = prefix .. 'x:' .. holder
  if is_again and tonumber(number) <= tonumber(call('HGET', past, '#') or '0') then return false end
  if call('HSET', past, '#', number) == 1 then call('EXPIRE', past, SETTLED_SECONDS) end
  return true
end

-- Write down what was reserved; a sum beyond 64 bits stays as it was.
local function hold(holder, field, amount)
  local name = prefix .. 'h:' .. holder
  local sum = redis.pcall('HINCRBY', name, field, whole(amount))
  if sum == amount and call('HLEN', name) == 1 then
    call('SADD', prefix .. 'holders', holder)
    call('EXPIRE', prefix .. 'holders', KEPT_SECONDS)
    call('EXPIRE', name, KEPT_SECONDS)
  end
end

-- Give back what was reserved: how much of it is still held, and what is left to settle.
local function released(holder, field, reserved, actual)
  if holder == '' or reserved == 0 then return reserved, actual end
  local name = prefix .. 'h:' .. holder
  local held = tonumber(call('HGET', name, field) or '0')
  local free = min(held, reserved)
  if held > free then call('HSET', name, field, whole(held - free)) elseif held > 0 then call('HDEL', name, field) end
  if free < reserved then
    local settled = tonumber(call('HGET', prefix .. 'x:' .. holder, field) or '0')
    local back = min(settled, reserved - free)
    if back > 0 then call('HSET', prefix .. 'x:' .. holder, field, whole(settled - back)) end
    actual = actual - back
  end
  return free, actual
end
"""
)

_HEAD = (
    """
local prefix, holder, call = ARGV[1], ARGV[2], redis.call
local min, max = math.min, math.max
local function whole(number) return string.format('%.0f', number) end
"""
    + f"local MOST, KEPT_SECONDS, SETTLED_SECONDS = {MOST}, {KEPT_SECONDS}, {SETTLED_SECONDS}\n"
)

BEAT = (
    _HEAD
    + """
local lease, now, most = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local time, freed = call('TIME'), 0

local function settle(other)
  local held, past = prefix .. 'h:' .. other, prefix .. 'x:' .. other
  local all = call('HSCAN', held, 0, 'COUNT', most)[2]
  for at = 1, #all, 2 do
    local field, amount = all[at], tonumber(all[at + 1])
    if field ~= '~' then
      local account = prefix .. 't:' .. field
      local known = call('HMGET', account, 'e', 'v', 'w')
      if known[1] and tonumber(known[1]) > now then
        call('HSET', account, 'v', whole(min(tonumber(known[2]) + amount, MOST)), 'w', whole(max(tonumber(known[3]) - amount, 0)))
        call('HINCRBY', past, field, whole(amount))
      end
      call('HDEL', held, field)
      freed = freed + 1
    end
  end
  call('EXPIRE', past, SETTLED_SECONDS)
end

call('SET', prefix .. 'l:' .. holder, '1', 'PX', lease)
call('HDEL', prefix .. 'h:' .. holder, '~')
call('EXPIRE', prefix .. 'h:' .. holder, KEPT_SECONDS)
call('EXPIRE', prefix .. 'x:' .. holder, SETTLED_SECONDS)
for _, other in ipairs(call('SMEMBERS', prefix .. 'holders')) do
  local held = prefix .. 'h:' .. other
  if call('EXISTS', prefix .. 'l:' .. other) == 0 and freed < most then
    if call('EXISTS', held) == 0 then
      call('SREM', prefix .. 'holders', other)
    elseif call('HEXISTS', held, '~') == 1 then
      settle(other)
      if call('HLEN', held) == 1 then
        call('DEL', held)
        call('SREM', prefix .. 'holders', other)
      end
    else
      call('HSET', held, '~', '1')
      call('SET', prefix .. 'l:' .. other, '0', 'PX', lease)
    end
  end
end
local reply = {freed, tonumber(time[1]), tonumber(time[2])}
for at = 6, #ARGV do
  local known = call('HMGET', prefix .. 'b:' .. ARGV[at], 'e', 'v')
  local is_live = known[1] and tonumber(known[1]) > now
  reply[#reply + 1] = is_live and tonumber(string.match(known[2], '^%d+')) or 0
end
return reply
"""
)
"""ARGV: prefix, holder, milliseconds of the lease, now, how many accounts to settle at most, keys of breakers. Reply: how many were
settled, Redis's time in seconds and microseconds, the breakers' phases."""

OWNED = (
    _HEAD
    + """
local mine = {}
call('HSET', prefix .. 'x:' .. holder, '@', ARGV[3])
call('EXPIRE', prefix .. 'x:' .. holder, SETTLED_SECONDS)
for at = 4, #ARGV, 2 do mine[ARGV[at]] = tonumber(ARGV[at + 1]) end
local name, freed = prefix .. 'h:' .. holder, 0
local all = call('HGETALL', name)
for at = 1, #all, 2 do
  local field, held = all[at], tonumber(all[at + 1])
  local rest = mine[field] or 0
  if field ~= '~' and held > rest then
    local account = prefix .. 't:' .. field
    local reserved = call('HGET', account, 'w')
    if reserved then call('HSET', account, 'w', whole(max(tonumber(reserved) - (held - rest), 0))) end
    if rest > 0 then call('HSET', name, field, whole(rest)) else call('HDEL', name, field) end
    freed = freed + 1
  end
end
return freed
"""
)
"""ARGV: prefix, holder, number of the connection; of all that it holds, key and owner, and the sum. Reply: on how many accounts something is free again."""
