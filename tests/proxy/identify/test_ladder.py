"""What each rung says, call by call."""

import json
from typing import Any

import pytest

from proxy.identify.facts import MAX_WAITING
from proxy.model import Kind
from tests.helpers.runs.tracking import Begun, Tracker

SECOND = 1_000_000
MINUTE = 60 * SECOND
CALL = "call_a1b2c3d4e5f6"


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str = "", *calls: tuple[str, str]) -> dict[str, Any]:
    made: list[Any] = [{"id": call_id, "function": {"name": name, "arguments": "{}"}} for call_id, name in calls]  # fmt: skip
    return {"role": "assistant", "content": text, "tool_calls": made}


def tool(call_id: str, text: str = "result") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


class Scene(Tracker):
    """Tells one call after the other."""

    now = 0

    def ask(self, *messages: Any, extra: dict[str, Any] | None = None, **hints: Any) -> Begun:  # fmt: skip
        self.now += SECOND
        body = json.dumps({"messages": messages} | (extra or {})).encode()
        return self.begin(body, self.now, **hints)

    def tell(self, *messages: Any, text: str = "", calls: Any = (), state: str = "done",
             response_id: str = "", extra: Any = None, **hints: Any) -> Begun:  # fmt: skip
        begun = self.ask(*messages, extra=extra, **hints)
        made: list[Any] = [(call_id, name, {}) for call_id, name in calls]
        self.end(begun, self.now, state, text, made, response_id)
        return begun


@pytest.fixture
def scene() -> Scene:
    return Scene()


def run(begun: Begun) -> str:
    assert begun.run is not None
    return begun.run.run_id


def source(begun: Begun) -> str:
    return begun.decision.source.value


def test_a_conversation_goes_on_and_its_steps_and_turns_are_counted(scene):
    one = scene.tell(user("a"), calls=[(CALL, "f")])
    two = scene.tell(user("a"), assistant("", (CALL, "f")), tool(CALL), text="done")
    three = scene.tell(user("a"), assistant("", (CALL, "f")), tool(CALL), assistant("done"), user("b"))  # fmt: skip
    assert run(one) == run(two) == run(three)
    assert [source(each) for each in (one, two, three)] == ["new", "continuation", "continuation"]  # fmt: skip
    assert [each.step_seq for each in (one, two, three)] == [1, 2, 3]
    assert [each.decision.turn_seq for each in (one, two, three)] == [1, 1, 2]


def test_what_stands_beside_a_result_is_no_turn(scene):
    scene.tell(user("a"), calls=[(CALL, "f")])
    two = scene.tell(user("a"), assistant("", (CALL, "f")), tool(CALL), user("<system-reminder>"))  # fmt: skip
    assert two.decision.turn_seq == 1


def test_runs_that_begin_alike_part_at_the_first_id(scene):
    first, second = scene.ask(user("a")), scene.ask(user("a"))
    for begun, call_id in ((first, "call_1x1x1x1x"), (second, "call_2y2y2y2y")):
        scene.end(begun, scene.now, calls=[(call_id, "f", {})])
    on = scene.tell(user("a"), assistant("", ("call_1x1x1x1x", "f")), tool("call_1x1x1x1x"))  # fmt: skip
    assert run(first) != run(second)
    assert run(on) == run(first)


def test_among_equal_runs_the_client_tells_and_then_who_has_not_gone_on(scene):
    one = scene.tell(user("a"), text="b", signature=1)
    two = scene.tell(user("a"), text="b", signature=2)
    three = scene.tell(user("a"), text="b", signature=2)
    on = [scene.tell(user("a"), assistant("b"), user("c"), signature=each, extra={"n": n}) for n, each in enumerate((1, 2, 2))]  # fmt: skip
    assert run(on[0]) == run(one)
    assert {run(on[1]), run(on[2])} == {run(two), run(three)}


def test_a_second_continuation_is_a_run_of_its_own_under_the_same_root(scene):
    one = scene.tell(user("a"), text="b")
    scene.tell(user("a"), assistant("b"), user("c"))
    branch = scene.tell(user("a"), assistant("b"), user("d"), text="e")
    on = scene.tell(user("a"), assistant("b"), user("d"), assistant("e"), user("f"))
    assert branch.run
    assert branch.run.parent_run_id == branch.run.root_run_id == run(one)
    assert run(on) == run(branch) != run(one)
    assert on.run
    assert on.run.root_run_id == run(one)


@pytest.mark.parametrize("state", ["failed", "rejected", "blocked"])
def test_a_continuation_that_failed_may_be_tried_anew_with_other_bytes(scene, state):
    one = scene.tell(user("a"), text="b")
    scene.tell(user("a"), assistant("b"), user("c"), state=state)
    again = scene.tell(user("a"), assistant("b"), user("c, shorter"))
    assert run(again) == run(one)
    branch = scene.tell(user("a"), assistant("b"), user("d"))
    assert run(branch) != run(one)


@pytest.mark.parametrize(
    ("state", "is_retry", "layer"),
    [("failed", True, "sdk"), ("failed", False, "app"), ("rejected", True, "sdk"), ("rejected", False, ""),
     ("blocked", True, ""), ("blocked", False, ""), ("done", True, ""), ("done", False, "")],
)  # fmt: skip
def test_the_same_bytes_again(scene, state, is_retry, layer):
    one = scene.tell(user("a"), state=state, signature=1)
    two = scene.tell(user("a"), is_retry=is_retry, signature=1)
    assert two.decision.retry_layer == layer
    assert (run(one) == run(two)) is (bool(layer) or state == "blocked")
    assert (two.step_seq, two.call.asked.attempt) == ((1, 1) if layer else (two.step_seq, 0))  # fmt: skip


def test_an_sdk_may_try_again_what_is_still_open_here(scene):
    one = scene.ask(user("a"))
    two = scene.tell(user("a"), is_retry=True, text="b")
    scene.end(one, scene.now, "failed")
    on = scene.tell(user("a"), assistant("b"), user("c"))
    assert two.decision.retry_of == one.call.asked or two.decision.retry_of.step_seq == 1  # fmt: skip
    assert run(on) == run(one)
    assert on.step_seq == 2


def test_an_attempt_of_the_second_step_leaves_the_first_continued(scene):
    one = scene.tell(user("a"), text="b")
    scene.tell(user("a"), assistant("b"), user("c"), state="failed")
    again = scene.tell(user("a"), assistant("b"), user("c"), is_retry=True, text="d")
    branch = scene.tell(user("a"), assistant("b"), user("x"))
    assert (again.decision.retry_layer, again.step_seq) == ("sdk", 2)
    assert branch.run
    assert branch.run.parent_run_id == run(one)


def test_an_invocation_id_finds_its_attempt_among_equal_calls(scene):
    first = scene.tell(user("a"), state="failed", retry_key="i1")
    second = scene.tell(user("a"), state="failed", retry_key="i2", extra={"n": 1})
    again = scene.tell(user("a"), is_retry=True, retry_key="i1")
    other = scene.tell(user("a"), is_retry=True, retry_key="i3", extra={"n": 2})
    assert again.decision.retry_of
    assert again.decision.retry_of.step_id == first.call.asked.step_id
    assert run(second) != run(first)
    assert other.decision.retry_of is None


def test_an_old_failure_is_not_tried_again(scene):
    scene.tell(user("a"), state="failed")
    scene.now += 20 * MINUTE
    assert scene.tell(user("a")).decision.retry_of is None


def test_a_first_call_that_failed_is_tried_anew_by_the_same_client(scene):
    one = scene.tell(user("a"), state="failed", signature=1)
    two = scene.tell(user("a"), extra={"model": "other"}, signature=1)
    assert run(one) == run(two)
    assert scene.tell(user("a"), extra={"model": "third"}, signature=1).decision.source.value == "new"  # fmt: skip


def test_explicit_and_harness_name_the_run_and_the_chain_says_where_in_it(scene):
    one = scene.tell(user("a"), text="b", run="mine")
    two = scene.tell(user("a"), assistant("b"), user("c"), run="mine")
    three = scene.tell(user("a"), assistant("b"), user("d"), run="mine")
    assert {run(each) for each in (one, two, three)} == {"mine"}
    assert (source(two), two.decision.turn_seq) == ("explicit", 2)
    sub = scene.tell(user("z"), harness_run="sub", harness_parent="mine")
    assert sub.run
    assert (source(sub), sub.run.root_run_id) == ("harness", "mine")
    assert scene.tell(user("a"), run="mine2", state="failed").decision.run_id == "mine2"
    assert scene.tell(user("a"), run="mine2").decision.source.value == "explicit"


def test_a_response_id_chains_branches_and_names_what_is_unknown(scene):
    one = scene.tell(user("a"), response_id="resp_1")
    more = {"previous_response_id": "resp_1"}
    two = scene.tell(user("b"), extra=more, text="x")
    branch = scene.tell(user("c"), extra=more)
    unknown = scene.tell(user("b"), extra={"previous_response_id": "resp_9"})
    assert (source(two), run(two), two.decision.turn_seq) == ("response_id", run(one), 2)  # fmt: skip
    assert branch.run
    assert branch.run.parent_run_id == run(one)
    assert (source(unknown), run(unknown)) == ("response_id", "response-resp_9")


def test_a_conversation_id_is_a_run(scene):
    one = scene.tell(user("a"), extra={"conversation": "conv_1"})
    two = scene.tell(user("b"), extra={"conversation": {"id": "conv_1"}})
    assert run(one) == run(two) == "conversation-conv_1"
    assert source(two) == "response_id"


def test_a_trace_counts_when_it_was_seen_before(scene):
    one, two = scene.tell(user("a"), trace_id="ab"), scene.tell(user("z"), trace_id="ab")  # fmt: skip
    assert (source(one), source(two)) == ("new", "traceparent")
    assert run(one) == run(two) == "trace-ab"


def test_a_run_goes_on_in_another_trace_and_a_server_holds_several_runs(scene):
    one = scene.tell(user("a"), text="b", trace_id="t1")
    scene.tell(user("a"), assistant("b"), user("c"), trace_id="t2")
    assert run(scene.tell(user("q"), trace_id="t2")) == run(one)
    other = scene.tell(user("own"), calls=[(CALL, "f")])
    on = scene.tell(user("own"), assistant("", (CALL, "f")), tool(CALL), trace_id="t1")
    assert (source(on), run(on)) == ("continuation", run(other))
    assert (
        source(scene.tell(user("?"), trace_id="t1")) == "new"
    )  # the trace leads to two


def test_ids_survive_another_provider_and_another_credential(scene):
    one = scene.tell(user("a"), calls=[(CALL, "f")])
    on = scene.tell(user("Start"), {"role": "assistant", "content": [{"type": "tool_use", "id": CALL, "name": "g", "input": {}}]}, caller="other")  # fmt: skip
    assert run(on) == run(one)
    later = scene.tell(user("cut"), assistant("", (CALL, "f")), tool(CALL), user("next"))  # fmt: skip
    assert (run(later), later.decision.turn_seq) == (run(one), 1)
    assert later.decision.evidence == "a tool call's id"


def test_history_that_nobody_knows_is_a_run_that_others_join(scene):
    one = scene.tell(user("a"), assistant("b"), user("c"), text="d")
    two = scene.tell(user("a"), assistant("b"), user("c"), assistant("d"), user("e"))
    assert (source(one), source(two)) == ("unmatched", "continuation")
    assert run(one) == run(two)


def test_an_answer_that_was_never_given_is_left_out(scene):
    one = scene.tell(user("a"), state="failed")
    assert run(scene.tell(user("a"), user("again"))) == run(one)
    two = scene.tell(user("b"), text="x")
    assert run(scene.tell(user("b"), user("again"))) != run(two)


def test_an_answer_that_could_not_be_read_is_believed(scene):
    one = scene.tell(user("a"))
    assert run(scene.tell(user("a"), assistant("anything"), user("c"))) == run(one)


def test_another_answer_is_another_conversation(scene):
    one = scene.tell(user("a"), text="x")
    open_one = scene.ask(user("p"))
    assert run(scene.tell(user("a"), assistant("y"), user("c"))) != run(one)
    assert run(scene.tell(user("p"), assistant("y"), user("c"))) != run(open_one)


def test_an_answer_that_was_cut_is_known_by_its_beginning(scene):
    text = "The weather in the north is fine and it stays so for a long time."
    one = scene.tell(user("a"), text=text)
    assert run(scene.tell(user("a"), assistant(text[:66]), user("c"))) == run(one)


def test_rewritten_ids_join_but_leave_the_call_free_for_the_right_ones(scene):
    one = scene.tell(user("a"), calls=[(CALL, "f")])
    other = scene.tell(user("a"), assistant("", ("call_zz99zz99zz", "f")), tool("call_zz99zz99zz"))  # fmt: skip
    right = scene.tell(user("a"), assistant("", (CALL, "f")), tool(CALL))
    assert run(other) == run(right) == run(one)
    assert right.run
    assert right.run.parent_run_id == ""


def test_pause_and_prefill_go_on_from_the_middle_of_an_answer(scene):
    one = scene.tell(user("a"), text="Searching the web for you now.")
    two = scene.tell(user("a"), assistant("Searching the web for you now."), text="Found")  # fmt: skip
    three = scene.tell(user("a"), assistant("Searching the web for you now."), assistant("Found"), user("b"))  # fmt: skip
    assert run(one) == run(two) == run(three)
    prefilled = scene.tell(user("p"), assistant("{"), text='"x": 1}')
    on = scene.tell(user("p"), assistant('{"x": 1}'), user("q"))
    assert (source(prefilled), run(on)) == ("new", run(prefilled))
    called = scene.tell(user("r"), assistant("So"), calls=[("call_0", "g")])
    assert run(scene.tell(user("r"), assistant("So", ("call_0", "g")), tool("call_0"))) == run(called)  # fmt: skip


def test_a_window_of_short_sentences_needs_two_that_agree(scene):
    texts = [("Go on with the report of the north.", "I have written it, as long as you wanted."), ("yes", "ok")]  # fmt: skip
    one = scene.tell(user("first"), text="hello")
    said = [user("first"), assistant("hello")]
    for asked, answered in texts:
        said.append(user(asked))
        scene.tell(*said, text=answered)
        said.append(assistant(answered))
    assert run(scene.tell(*said[2:], user("more"))) == run(one)
    assert run(scene.tell(*said[4:], user("more"))) != run(one)


def test_a_growing_prompt_is_its_own_history(scene):
    prompt = "Answer.\nQuestion: what?\nThought:"
    one = scene.tell(user(prompt), text=" I look it up.\nAction: search")
    other = scene.tell(
        user(prompt + " I guess.\nObservation: no\nThought:"), text=" so"
    )
    two = scene.tell(user(prompt + " I look it up.\nAction: search\nObservation: 18\nThought:"))  # fmt: skip
    assert run(two) == run(one) != run(other)


def test_tools_belong_to_the_one_run_that_waits_for_them(scene):
    tools = {"caller": "tools", "kind": Kind.MCP, "peer": "10.0.0.1"}
    assert source(scene.tell(tool="read", **tools)) == "none"
    one = scene.tell(user("a"), calls=[(CALL, "mcp__files__read")], peer="10.0.0.1")
    read = scene.tell(tool="read", **tools)
    assert (source(read), run(read)) == ("window", run(one))
    two = scene.tell(user("b"), calls=[("call_q1w2e3r4t5", "search")], peer="10.0.0.1")
    assert run(scene.tell(tool="search", **tools)) == run(two)
    assert source(scene.tell(tool="other", **tools)) == source(scene.tell(**tools)) == "none"  # fmt: skip
    scene.tell(user("b"), assistant("", ("call_q1w2e3r4t5", "search")), tool("call_q1w2e3r4t5"), peer="10.0.0.1")  # fmt: skip
    assert run(scene.tell(tool="other", **tools)) == run(one)
    embedding = scene.tell(kind=Kind.EMBEDDING)
    assert (source(embedding), run(embedding)) == ("window", run(one))
    scene.now += 20 * MINUTE
    assert source(scene.tell(tool="read", **tools)) == "none"


def test_in_a_crowd_nobody_is_the_only_one_that_waits(scene):
    for number in range(MAX_WAITING + 1):
        scene.tell(user(str(number)), calls=[(f"call_{number:03}x{number:03}", f"f{number}")])  # fmt: skip
    assert source(scene.tell(kind=Kind.TOOL, tool="f5")) == "none"


def test_a_tool_call_is_tried_again_too(scene):
    scene.tell(user("a"), calls=[(CALL, "f")])
    one = scene.tell(kind=Kind.TOOL, tool="f", state="failed", body_hash=5)
    two = scene.tell(kind=Kind.TOOL, tool="f", body_hash=5)
    assert (two.decision.retry_layer, run(two)) == ("app", run(one))
    assert source(scene.tell(kind=Kind.TOOL, tool="f", body_hash=0)) == "window"


def test_an_answer_that_was_pasted_is_an_echo(scene):
    text = (
        "The vendor is the northern branch of it. The total is four hundred and twenty."
    )
    one = scene.tell(user("Read this."), text=text)
    two = scene.tell(user(f"Check this result:\n{text}"))
    assert (source(two), run(two)) == ("echo", run(one))


def test_sessions_last_while_their_caller_is_active(scene):
    one = scene.tell(user("a"), user_agent="x")
    scene.now += 29 * MINUTE
    two = scene.tell(user("b"), user_agent="x")
    scene.now += 31 * MINUTE
    three = scene.tell(user("c"), user_agent="x")
    named = scene.tell(user("d"), user_agent="x", session="mine")
    other = scene.tell(user("e"), user_agent="y")
    sessions = [each.run.session_id for each in (one, two, three, named, other) if each.run]  # fmt: skip
    assert sessions[0] == sessions[1] != sessions[2]
    assert sessions[3] == "mine"
    assert len(set(sessions)) == 4
