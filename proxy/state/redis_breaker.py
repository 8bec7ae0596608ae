"""The rules of a health breaker once more, in Lua, for Redis.

What lives here: `judge/breaker.py`, function by function under the same names. What does not: keeping the state (`redis_accounts_lua.py`).
Tests hold both to the same results over random histories.

A state is written as its numbers in the order of `breaker.Breaker`, the probes last. Divisions are exact: of whole numbers below 2^53, the
floor of a rounded quotient is the quotient's floor.
"""

from msgspec.structs import fields

from proxy.judge.breaker import BUSY_US, MAX_DOUBLINGS, Breaker
from proxy.judge.claims import BreakerRule, Phase

_STATE = [each.name for each in fields(Breaker)][:-1]
_RULE = [each.name for each in fields(BreakerRule)]


def _names(names: list[str]) -> str:
    return ", ".join(f"'{each}'" for each in names)


LUA = (
    f"""
local CLOSED, OPEN, HALF_OPEN = {Phase.CLOSED:d}, {Phase.OPEN:d}, {Phase.HALF_OPEN:d}
local BUSY_US, MAX_DOUBLINGS = {BUSY_US}, {MAX_DOUBLINGS}
local STATE, RULE = {{{_names(_STATE)}}}, {{{_names(_RULE)}}}
"""
    + """
local floor, min, max = math.floor, math.min, math.max

local function whole(number) return string.format('%.0f', number) end

local function numbers(text)
  local found = {}
  for each in string.gmatch(text, '%-?%d+') do found[#found + 1] = tonumber(each) end
  return found
end

local function rule_of(found, from)
  local rule = {}
  for at, name in ipairs(RULE) do rule[name] = found[from + at - 1] end
  return rule
end

-- The states. Each transition makes a new one, so that the old one can be compared with it.
local function state_of(phase, base, last)
  local state = {probes = {}}
  for _, name in ipairs(STATE) do state[name] = 0 end
  state.phase, state.base, state.last = phase, base, last
  return state
end

local function copied(state, probes)
  local copy = {}
  for name, value in pairs(state) do copy[name] = value end
  copy.probes = probes
  return copy
end

local function parsed(text)
  local found, state = numbers(text), {probes = {}}
  for at, name in ipairs(STATE) do state[name] = found[at] end
  for at = #STATE + 1, #found, 2 do state.probes[#state.probes + 1] = {found[at], found[at + 1]} end
  return state
end

local function written(state)
  local found = {}
  for at, name in ipairs(STATE) do found[at] = whole(state[name]) end
  for _, probe in ipairs(state.probes) do
    found[#found + 1] = whole(probe[1])
    found[#found + 1] = whole(probe[2])
  end
  return table.concat(found, ' ')
end

local function live(state, now, but)
  local found = {}
  for _, probe in ipairs(state.probes) do
    if probe[2] > now and probe[1] ~= but then found[#found + 1] = probe end
  end
  return found
end

-- The rules.
local function lasting_us(rule) return 2 * (rule.longest_us + rule.window_us + rule.probe_us) end

local function wait_us(state, now)
  if state.phase == CLOSED then return 0 end
  if state.phase == OPEN then return max(state.until_us - now, 0) end
  local probes = live(state, now)
  if #probes < state.width then return 0 end
  local wait = BUSY_US
  for _, probe in ipairs(probes) do wait = min(wait, probe[2] - now) end
  return wait
end

local function taken(state, rule, now)
  if state.phase == CLOSED then return state, state.base end
  if state.phase == OPEN then
    local base = state.last + 1
    local half_open = state_of(HALF_OPEN, base, base + 1)
    half_open.opened, half_open.width, half_open.probes = state.opened, 1, {{base + 1, now + rule.probe_us}}
    return half_open, base + 1
  end
  local number, probes = state.last + 1, live(state, now)
  probes[#probes + 1] = {number, now + rule.probe_us}
  local after = copied(state, probes)
  after.last = number
  return after, number
end

local function opened(state, rule, now, random)
  local longest = min(rule.open_us * 2 ^ min(state.opened, MAX_DOUBLINGS), rule.longest_us)
  local after = state_of(OPEN, state.last + 1, state.last + 1)
  after.until_us = now + longest - floor(floor(longest * rule.jitter_percent / 100) * random / 65536)
  after.opened = state.opened + 1
  return after
end

local function counted(state, rule, health, now, random)
  local half = max(floor(now / max(floor(rule.window_us / 2), 1)), state.half)
  local after = copied(state, {})
  after.half = half
  if half > state.half then
    local is_next = half == state.half + 1
    after.good_before, after.bad_before = is_next and state.good or 0, is_next and state.bad or 0
    after.good, after.bad = 0, 0
  end
  if health > 0 then
    after.good, after.failures = after.good + 1, 0
    return after
  end
  after.bad, after.failures = after.bad + 1, state.failures + 1
  local failed = after.bad + after.bad_before
  local calls = failed + after.good + after.good_before
  if (rule.consecutive > 0 and rule.consecutive <= after.failures)
    or (rule.percent > 0 and rule.minimum <= calls and rule.percent * calls <= 100 * failed) then
    return opened(state, rule, now, random)
  end
  return after
end

local function widened(state, rule, probes)
  local passed = state.passed + 1
  local after = copied(state, probes)
  if passed < state.width then
    after.passed = passed
    return after
  end
  if state.width >= rule.probes then return state_of(CLOSED, state.last + 1, state.last + 1) end
  after.width, after.passed = min(2 * state.width, rule.probes), 0
  return after
end

local function told(state, rule, health, permit, now, random)
  if (permit > 0 and permit < state.base) or state.phase == OPEN then return state end
  if state.phase == CLOSED then
    if health == 0 then return state end
    return counted(state, rule, health, now, random)
  end
  if permit == 0 then return state end
  if health < 0 then return opened(state, rule, now, random) end
  local before, kept = live(state, now), live(state, now, permit)
  if #kept == #before or health == 0 then return copied(state, kept) end
  return widened(state, rule, kept)
end
"""
)
