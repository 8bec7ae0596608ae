import json
from typing import Any

from proxy.identify.conversation import Conversation, Conversations
from proxy.identify.lookup import (
    MAX_LOOKED_IDS,
    MAX_PREFIXES,
    Hints,
    Lookup,
    lookup,
)
from proxy.model import Kind

SEED = 3
HINTS = Hints("t", "c", Kind.LLM)


def look(*messages: Any, hints: Hints = HINTS) -> Lookup:
    body = json.dumps({"messages": messages}).encode()
    found = Conversations(SEED).read(body)
    assert found is not None
    return lookup(SEED, hints, found)


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def test_what_was_asked_is_a_prefix_of_what_is_asked_next():
    first = look(said("user", "a"))
    second = look(said("user", "a"), said("assistant", "b"), said("user", "c"))
    assert second.prefixes[-1] == (1, first.strict, first.loose)


def test_the_loose_chain_does_not_see_what_agents_change():
    one = look(said("user", "10:01"), said("assistant", "b"), said("tool", "x"), said("user", "c"))  # fmt: skip
    two = look(said("user", "10:02"), said("assistant", "b"), said("tool", "(cut)"), said("user", "d"))  # fmt: skip
    assert one.loose == two.loose
    assert one.strict != two.strict


def test_callers_and_tenants_share_no_prefix():
    own, other = look(said("user", "a")), look(said("user", "a"), hints=Hints("t", "d", Kind.LLM))  # fmt: skip
    assert own.strict != other.strict


def test_other_kinds_have_no_conversation():
    tool = look(said("user", "a"), hints=Hints("t", "c", Kind.TOOL, peer="h"))
    assert (tool.strict, tool.prefixes, len(tool.waiting)) == (0, (), 2)


def test_a_long_conversation_asks_for_its_newest_part_only():
    calls = [{"role": "assistant", "tool_calls": [{"id": f"call_a{n:05}b", "function": {"name": "f"}}]} for n in range(100)]  # fmt: skip
    found = look(*(each for call in calls for each in (call, said("tool", "x"))))
    assert (len(found.prefixes), len(found.ids)) == (MAX_PREFIXES, MAX_LOOKED_IDS)
    assert len(found.keys()) == len(set(found.keys())) < 120


def test_nothing_known_asks_for_nothing_but_the_session_and_who_waits():
    found = lookup(SEED, HINTS, Conversation())
    assert len(found.keys()) == 2


def test_what_clients_name_their_calls_leads_to_no_call_of_another_caller():
    own, others = (look(said("user", "a"), hints=Hints("t", caller, Kind.LLM, retry_key="1")) for caller in "ab")  # fmt: skip
    assert own.retry != others.retry
    same, other = (look(said("user", "a"), hints=Hints("t", "a", Kind.LLM, retry_key="1", body_hash=body)) for body in (0, 8))  # fmt: skip
    assert (
        own.retry == same.retry != other.retry
    )  # as where a client sends one `Idempotency-Key` with all


def test_runs_of_other_callers_on_a_host_are_looked_at_where_credentials_are_no_client_keys():
    hosts = [
        look(hints=Hints("t", caller, Kind.TOOL, peer="10.0.0.1")).waiting
        for caller in ("a", "b", "key:a", "key:b")
    ]
    assert hosts[0][1] == hosts[1][1]
    assert [len(each) for each in hosts] == [2, 2, 1, 1]


def test_a_beginning_that_the_answer_is_to_have_is_no_neighbour():
    assert look(said("user", "a"), said("assistant", "{")).pairs == ()
