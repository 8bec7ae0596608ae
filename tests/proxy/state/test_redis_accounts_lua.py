"""The functions as a part of a bigger script, which knows the owners only once it has looked, and who speaks first."""

from typing import Any

import fakeredis
import pytest

from proxy.judge.claims import (
    NONE,
    Claim,
    Level,
    Mode,
    Scope,
    Tail,
    Take,
    owner_of,
)
from proxy.state.redis_accounts import Writer, answer_of, written_claims
from proxy.state.redis_accounts_lua import APPLY, CLAIM, FUNCTIONS
from tests.helpers.keepers import PREFIX, SEED, RedisKeeper

NOW_US = 1_790_000_000_000_000
HOUR_US = 3_600_000_000
ROOT, SESSION = owner_of("t", "root"), owner_of("t", "s")

ADMIT = (
    "local prefix, sub, call = ARGV[1], string.sub, redis.call\n"
    + FUNCTIONS
    + """
local key = prefix .. 'r:' .. ARGV[3]
-- 1. The run's root is its parent's, where that is known.
local root = call('HGET', prefix .. 'r:' .. ARGV[4], 'root') or ARGV[3]
local session = call('HGET', key, 'session') or ARGV[5]
local judged = accounts.judge(6, #ARGV, {ARGV[3], root, session}, tonumber(ARGV[2]))
if judged.refused then return {accounts.refuse(judged), root, session} end
-- 2. The run.
call('HSET', key, 'root', root, 'session', session)
return {accounts.admit(judged, ''), root, session}
"""
)


@pytest.fixture
def client():
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


def test_a_bigger_script_names_the_owners_itself(client):
    writer, keeper = Writer(SEED, PREFIX), RedisKeeper(client)
    claims: list[Claim] = [
        Take(1, Scope.ROOT, 1, 2, NONE, Mode.ENFORCE, False, HOUR_US),
        Take(2, Scope.SESSION, 5, NONE, NONE, Mode.ENFORCE, True, HOUR_US),
        Tail(3, Scope.ROOT, (7,), 5, HOUR_US),
    ]

    def admit(run: str, parent: str) -> Any:
        texts = [writer.owner(owner_of("t", each)) for each in (run, parent, "s")]
        return client.eval(ADMIT, 0, PREFIX, b"%d" % NOW_US, *texts, *written_claims(claims))  # fmt: skip

    reply, root, session = admit("root", "")
    assert (root, session) == (writer.owner(ROOT), writer.owner(SESSION))
    answer = answer_of(reply, claims, ("", ROOT, ROOT, SESSION))
    assert (answer.admitted, answer.tails) == (True, ((7,),))
    assert [(each.owner, each.amount) for each in answer.holds] == [(SESSION, 5)]
    assert admit("child", "root")[0][0] == 1  # charged to the parent's root
    reply, root, _ = admit("grandchild", "child")
    refused = answer_of(reply, claims, ("", owner_of("t", "grandchild"), ROOT, SESSION))
    assert root == writer.owner(ROOT)
    assert (refused.admitted, refused.findings[0].level) == (False, Level.OVER)
    assert refused.tails == ((7, 7),)
    assert not client.exists(PREFIX + b"r:" + writer.owner(owner_of("t", "grandchild")))
    assert keeper.used(1, ROOT, NOW_US) == (2, 0)
    assert keeper.used(2, SESSION, NOW_US) == (0, 10)


def test_the_functions_leave_one_local_and_no_global(client):
    names = """
for _, name in ipairs({'judge', 'taken', 'numbers', 'JUDGE', 'TELL', 'MOST', 'read', 'write'}) do
  if pcall(function() return _G[name] end) and rawget(_G, name) ~= nil then return name end
end
return type(accounts.judge) .. type(accounts.admit) .. type(accounts.refuse) .. type(accounts.tell)
"""
    head = "local prefix, sub, call = ARGV[1], string.sub, redis.call\n"
    assert client.eval(head + FUNCTIONS + names, 0, PREFIX) == b"function" * 4


@pytest.mark.parametrize("script", [CLAIM, APPLY])
def test_a_script_without_claims_or_changes_does_nothing(client, script):
    own = [b"", b"0", *([b"", b"", b""] if script is CLAIM else [b"1", b"0"])]
    client.eval(script, 0, PREFIX, b"%d" % NOW_US, *own)
    assert client.keys("*") == []
