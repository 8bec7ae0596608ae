"""Accounts, gates and breakers within Redis: what `claiming.py` and `accounts.py` do, in Lua.

What lives here: the text of the functions, and of two scripts that stand alone. What does not: how arguments are written and replies read
(`redis_accounts.py`), the rules of a breaker (`redis_breaker.py`).

`FUNCTIONS` may be pasted into a bigger script that has `prefix`, `sub` (`string.sub`) and `call` (`redis.call`). It leaves one local:
- `accounts.judge(from, to, owners, now)` holds the claims in ARGV[from] to ARGV[to] against what there is, and writes nothing. `owners` are
  the names by scope, from 1, of 8 bytes, or empty; they may be known to the script only. Its result says whether the call is `refused`.
- `accounts.admit(judged, holder)` writes what the claims came to, `accounts.refuse(judged)` only touches; one of both is called, and gives
  the reply. The holder is whose reservations they are (`redis_holds.py`); without, nobody's, which only tests want.
- `accounts.tell(from, now, holder)` takes in the changes from ARGV[from] on.
- `accounts.is_stale(holder, connection)` and `accounts.is_new(holder, number, is_again)` say what is not to be done any more.

Keys: prefix, the sort (`t` sums, `a` ages, `s` series, `b` breakers: hashes with `e`, when it expires by our clocks, and `v`, `w`; `g` gates,
`o` the number of 8 bytes of who is allowed on), the key of 8 bytes, the owner's name, 8 bytes longer under an allowance. All expire.

What is written and replied is below 2^53, and nothing is written but by `whole`: Lua's own way to write numbers has 14 digits.
"""

from proxy.judge.claims import MOST, Level
from proxy.state.accounts import ALLOWED_US
from proxy.state.redis_breaker import LUA as _BREAKER
from proxy.state.redis_holds import HOLDING as _HOLDING

_HEAD = "local prefix, sub, call = ARGV[1], string.sub, redis.call\n"

_KEEPING = (
    f"""
local MOST, SLACK_MS, SPELL_US, ALLOWED_SECONDS = {MOST}, 60000, 30000000, {ALLOWED_US // 10**6}
local WARN, BUSY, OVER = {Level.WARN:d}, {Level.BUSY:d}, {Level.OVER:d}
"""
    + """
local function read(sort, key, owner, now)
  local name = prefix .. sort .. ':' .. key .. owner
  local found = call('HMGET', name, 'e', 'v', 'w')
  local expires = tonumber(found[1] or '0')
  local account = {name = name, expires = expires, is_live = expires > now}
  if account.is_live then account.v, account.w = found[2], found[3] end
  return account
end

local function until_of(sort, key)
  return tonumber(call('GET', prefix .. sort .. ':' .. key) or '0')
end

local function expire(name, ttl) call('PEXPIRE', name, whole(floor(ttl / 1000) + SLACK_MS)) end

-- A key outlives what it holds by the slack, so that its own time need not be prolonged each time, but once in half of that.
local function write(account, now, ttl, v, w)
  local name, expires = account.name, now + ttl
  if w then call('HSET', name, 'e', whole(expires), 'v', v, 'w', w)
  else call('HSET', name, 'e', whole(expires), 'v', v) end
  if floor(expires / SPELL_US) > floor(account.expires / SPELL_US) then expire(name, ttl) end
end

local function last(series, size) return sub(series, -8 * size) end
"""
)

_CLAIMING = """
-- A claim: sort(1) mode(1) scope(1) reserve(1) key(8) numbers; of a series its numbers, a bar, 8 bytes each to append.
local function claim_of(text)
  local bar = string.find(text, '|', 13, true)
  return {sort = sub(text, 1, 1), is_enforced = sub(text, 2, 2) == 'e', scope = tonumber(sub(text, 3, 3)),
          reserves = sub(text, 4, 4) == '1', key = sub(text, 5, 12),
          numbers = numbers(sub(text, 13, bar and bar - 1 or -1)), push = bar and sub(text, bar + 1)}
end

local function find(judged, at, claim, level, value, limit, wait)
  local found = judged.findings
  found[#found + 1] = {at, level, value, limit, wait or 0}
  if level > WARN and claim.is_enforced then judged.refused = true end
end

local function is_owned(judged, claim) return claim.scope == 0 or judged.owners[claim.scope] ~= '' end

local function account_of(judged, claim)
  local owner = judged.owners[claim.scope]
  local id = claim.sort .. claim.key .. owner
  local account = judged.known[id]
  if not account then
    account = read(claim.sort, claim.key, owner, judged.now)
    judged.known[id] = account
    judged.accounts[#judged.accounts + 1] = account
  end
  return account
end

local JUDGE = {}

function JUDGE.t(judged, at, claim)
  local account, amount, limit, warn = account_of(judged, claim), unpack(claim.numbers)
  local settled, reserved = tonumber(account.v or '0'), tonumber(account.w or '0')
  local held = claim.reserves and reserved or 0
  if limit >= 0 and ((claim.reserves and settled >= limit) or (not claim.reserves and settled + amount > limit)) then
    find(judged, at, claim, OVER, settled, limit)
  elseif limit >= 0 and held > 0 and settled + held + amount > limit then
    find(judged, at, claim, BUSY, min(settled + held, MOST), limit)
  elseif warn >= 0 and settled + held + amount >= warn then
    find(judged, at, claim, WARN, min(settled + held + amount, MOST), warn)
  end
  if claim.reserves then
    reserved = min(reserved + amount, MOST)
    judged.holds[#judged.holds + 1] = {at, amount, 0}
  else
    settled = min(settled + amount, MOST)
  end
  account.v, account.w, account.ttl = whole(settled), whole(reserved), claim.numbers[4]
end

function JUDGE.a(judged, at, claim)
  local account, limit, warn, ttl = account_of(judged, claim), unpack(claim.numbers)
  local began = tonumber(account.v or whole(judged.now))
  local age = judged.now - began
  if limit >= 0 and age > limit then find(judged, at, claim, OVER, age, limit)
  elseif warn >= 0 and age >= warn then find(judged, at, claim, WARN, age, warn) end
  account.v, account.ttl = whole(began), ttl
end

function JUDGE.p(judged, at, claim)
  local wait = until_of('g', claim.key) - judged.now
  if wait > 0 then find(judged, at, claim, OVER, 0, 0, wait) end
end

function JUDGE.b(judged, at, claim)
  local account, now = account_of(judged, claim), judged.now
  local rule = rule_of(claim.numbers, 1)
  local before = account.v and parsed(account.v) or state_of(CLOSED, now, now)
  local wait = wait_us(before, now)
  if wait > 0 then return find(judged, at, claim, OVER, 0, 0, wait) end
  local after, number = taken(before, rule, now)
  if after ~= before or account.expires - now < lasting_us(rule) / 2 then
    account.v, account.ttl = written(after), lasting_us(rule)
  end
  judged.holds[#judged.holds + 1] = {at, after.phase, number}
  if after.phase ~= before.phase then judged.turned[#judged.turned + 1] = {at, before.phase, after.phase} end
end

function JUDGE.s(judged, at, claim)
  local account, size, ttl = account_of(judged, claim), unpack(claim.numbers)
  if account.series == nil then account.series = account.v or '' end
  account.v, account.ttl = last((account.v or '') .. claim.push, size), ttl
  judged.tails[#judged.tails + 1] = account.v
end

-- Who was allowed on has other accounts since.
local function allow(judged)
  local owners = judged.owners
  local found = call('MGET', prefix .. 'o:' .. owners[2], prefix .. 'o:' .. owners[3])
  judged.root, judged.session = owners[2], owners[3]
  judged.allowed = {found[1] or '', found[2] or ''}
  if found[1] then
    if owners[1] ~= '' then owners[1] = owners[1] .. found[1] end
    owners[2] = owners[2] .. found[1]
  end
  if found[2] then owners[3] = owners[3] .. found[2] end
end

-- Who goes on asking stays allowed on.
local function prolong(judged)
  if judged.allowed[1] ~= '' then call('EXPIRE', prefix .. 'o:' .. judged.root, ALLOWED_SECONDS) end
  if judged.allowed[2] ~= '' then call('EXPIRE', prefix .. 'o:' .. judged.session, ALLOWED_SECONDS) end
end

local accounts = {is_stale = is_stale, is_new = is_new}

function accounts.judge(from, to, owners, now)
  local judged = {now = now, claims = {}, owners = {[0] = '', unpack(owners)}, known = {}, accounts = {}, findings = {}, holds = {},
                  tails = {}, turned = {}, refused = false}
  allow(judged)
  for place = from, to do
    local claim = claim_of(ARGV[place])
    judged.claims[#judged.claims + 1] = claim
    if is_owned(judged, claim) then
      JUDGE[claim.sort](judged, place - from, claim)
    elseif claim.sort == 's' then
      judged.tails[#judged.tails + 1] = ''
    end
  end
  return judged
end

function accounts.admit(judged, holder)
  for _, account in ipairs(judged.accounts) do
    if account.ttl then write(account, judged.now, account.ttl, account.v, account.w) end
  end
  if holder ~= '' then
    for _, held in ipairs(judged.holds) do
      local claim = judged.claims[held[1] + 1]
      if claim.sort == 't' and held[2] > 0 then hold(holder, claim.key .. judged.owners[claim.scope], held[2]) end
    end
  end
  prolong(judged)
  return {1, judged.allowed, judged.findings, judged.holds, judged.tails, judged.turned}
end

-- Who is refused and goes on all the same must not begin anew some day: what the call claimed is touched.
function accounts.refuse(judged)
  local told, tails = {}, {}
  for _, finding in ipairs(judged.findings) do
    if finding[2] > WARN then told[#told + 1] = finding end
  end
  for _, claim in ipairs(judged.claims) do
    local account = is_owned(judged, claim) and judged.known[claim.sort .. claim.key .. judged.owners[claim.scope]]
    if claim.sort ~= 'b' and account and account.is_live then
      local ttl = claim.numbers[#claim.numbers]
      call('HSET', account.name, 'e', whole(judged.now + ttl))
      expire(account.name, ttl)
    end
    if claim.sort == 's' then tails[#tails + 1] = account and last(account.series, claim.numbers[1]) or '' end
  end
  prolong(judged)
  return {0, judged.allowed, told, {}, tails, {}}
end
"""

_TELLING = """
-- A change: sort(1) key(8) numbers bar, and the owner; of a series 8 bytes each to append before it.
local TELL = {}

function TELL.t(change, now, holder)
  local reserved, actual, ttl = unpack(change.numbers)
  local account = read('t', change.key, change.rest, now)
  reserved, actual = released(holder, change.key .. change.rest, reserved, actual)
  local settled = max(min(tonumber(account.v or '0') + actual, MOST), 0)
  write(account, now, ttl, whole(settled), whole(max(tonumber(account.w or '0') - reserved, 0)))
end

function TELL.u(change, now)
  local account = read('t', change.key, change.rest, now)
  if account.is_live then call('HSET', account.name, 'v', whole(max(tonumber(account.v) - change.numbers[1], 0))) end
end

function TELL.g(change, now)
  local till = max(until_of('g', change.key), change.numbers[1])
  call('SET', prefix .. 'g:' .. change.key, whole(till), 'PX', whole(floor(max(till - now, 0) / 1000) + SLACK_MS))
end

function TELL.b(change, now)
  local health, permit, random = unpack(change.numbers)
  local rule, account = rule_of(change.numbers, 4), read('b', change.key, '', now)
  local before = account.v and parsed(account.v) or state_of(CLOSED, now, now)
  local after = told(before, rule, health, permit, now, random)
  write(account, now, lasting_us(rule), written(after))
  if after.phase ~= before.phase then return {before.phase, after.phase, after.until_us} end
end

function TELL.s(change, now)
  local size, ttl, count = unpack(change.numbers)
  local push, owner = sub(change.rest, 1, 8 * count), sub(change.rest, 8 * count + 1)
  local account = read('s', change.key, owner, now)
  write(account, now, ttl, last((account.v or '') .. push, size))
end

function TELL.o(change) call('SET', prefix .. 'o:' .. change.rest, change.key, 'EX', ALLOWED_SECONDS) end

function accounts.tell(from, now, holder)
  local turned, failed = {}, 0
  for place = from, #ARGV do
    local text = ARGV[place]
    local bar = string.find(text, '|', 10, true)
    local change = {key = sub(text, 2, 9), numbers = numbers(sub(text, 10, bar - 1)), rest = sub(text, bar + 1)}
    -- A key of the wrong type costs what is told of it, and not all that was told with that.
    local is_done, turn = pcall(TELL[sub(text, 1, 1)], change, now, holder)
    if not is_done then failed = failed + 1
    elseif turn then turned[#turned + 1] = {place - from, unpack(turn)} end
  end
  return {failed, turned}
end
"""

FUNCTIONS = (
    "local accounts = (function()\n"
    + _BREAKER + _KEEPING + _HOLDING + _CLAIMING + _TELLING
    + "return accounts\nend)()\n"
)  # fmt: skip

CLAIM = (
    _HEAD
    + FUNCTIONS
    + """
if accounts.is_stale(ARGV[3], ARGV[4]) then return false end
local judged = accounts.judge(8, #ARGV, {ARGV[5], ARGV[6], ARGV[7]}, tonumber(ARGV[2]))
if judged.refused then return accounts.refuse(judged) end
return accounts.admit(judged, ARGV[3])
"""
)
"""ARGV: prefix, now, holder, its connection, owners of the scopes from 1; claims. Reply: admitted, numbers of allowances, findings, holds …"""

APPLY = (
    _HEAD
    + FUNCTIONS
    + """
if accounts.is_stale(ARGV[3], ARGV[4]) or not accounts.is_new(ARGV[3], ARGV[5], ARGV[6] == '1') then return {0, {}} end
return accounts.tell(7, tonumber(ARGV[2]), ARGV[3])
"""
)
"""ARGV: prefix, now, holder, its connection, the note's number, whether it may have come before; changes. Reply: how many could not be taken in, which breakers turned."""
