"""Whether a call repeats an earlier one: the rule, case by case, and beside parallel calls that say the same."""

from typing import Any

import pytest

from proxy.identify.attempts import retry_of, stray_retry_of
from proxy.identify.facts import RETRY_US, Asked, Calls, Fact
from proxy.identify.lookup import Hints, Lookup
from proxy.model import Kind
from tests.proxy.identify.test_ladder import CALL, Scene, run, user

SAME, NAMED = 1, 2
LOOK = Lookup(same=SAME, retry=NAMED)
NOW = 10_000_000
SECOND = 1_000_000


def asked(step_id: str = "s1", state: str = "failed", **more: Any) -> Asked:
    parts: dict[str, Any] = {"run_id": "r", "step_seq": 1, "turn_seq": 1, "seen_us": NOW - SECOND, "signature": 5, "brief": 1}  # fmt: skip
    return Asked(**(parts | {"step_id": step_id, "state": state} | more))


def repeated(*same: Asked, named: tuple[Asked, ...] = (), **hints: Any) -> tuple[str, str] | None:  # fmt: skip
    found: dict[int, Fact] = {SAME: Calls(same)}
    if named:
        found[NAMED] = Calls(named)
    known = Hints(
        "t", "c", Kind.EMBEDDING, **({"signature": 5, "body_hash": 9} | hints)
    )
    said = retry_of(known, LOOK, found, NOW)
    return said and (said[0].step_id, said[1])


SDK: Any = {"is_retry": True, "retry_count": 1}


@pytest.mark.parametrize(
    ("state", "by_sdk", "by_app"),
    [("failed", True, True), ("rejected", True, False), ("open", True, False), ("blocked", False, False), ("done", False, False)],
)  # fmt: skip
def test_what_may_be_tried_again_depends_on_how_it_ended_and_on_who_says_so(
    state, by_sdk, by_app
):
    assert (repeated(asked(state=state), **SDK) == ("s1", "sdk")) is by_sdk
    assert (repeated(asked(state=state)) == ("s1", "app")) is by_app


def test_nothing_that_is_known_is_repeated_by_nothing():
    assert repeated() is None
    assert retry_of(Hints("t", "c", Kind.TOOL), LOOK, {}, NOW) is None


def test_a_call_sent_before_the_other_one_failed_runs_beside_it():
    assert repeated(asked(seen_us=NOW + 1)) is None
    assert repeated(asked(seen_us=NOW)) == ("s1", "app")
    assert repeated(asked(seen_us=NOW + 1), **SDK) == ("s1", "sdk")


def test_an_equal_call_of_another_client_is_no_retry_unless_it_says_so():
    assert repeated(asked(signature=6)) is None
    assert repeated(asked(signature=6), **SDK) == ("s1", "sdk")


def test_a_failure_of_long_ago_is_not_repeated():
    assert repeated(asked(seen_us=NOW - RETRY_US - 1)) is None


def test_a_call_from_which_a_conversation_went_on_is_not_repeated():
    assert repeated(asked(continued_by="s2"), **SDK) is None


def test_a_call_of_another_run_is_not_repeated_where_a_run_is_named():
    assert repeated(asked(), run="other", **SDK) is None
    assert repeated(asked(), run="r", **SDK) == ("s1", "sdk")


def test_of_parallel_calls_each_retry_finds_one_that_nobody_has_tried_again():
    first = asked("a", "open", attempt=1, seen_us=NOW - 1)
    assert repeated(first, asked("b"), **SDK) == ("b", "sdk")
    failed_again = asked("a", attempt=1, seen_us=NOW - 1)
    assert repeated(failed_again, asked("b"), **SDK) == ("b", "sdk")
    assert repeated(failed_again, asked("b"), is_retry=True, retry_count=2) == ("a", "sdk")  # fmt: skip


def test_the_same_client_and_connection_decide_between_equal_failures():
    calls = asked("a", signature=6, seen_us=NOW - 2), asked("b"), asked("c", connection=8, seen_us=NOW - 2 * SECOND)  # fmt: skip
    assert repeated(*calls, connection=8, **SDK) == ("c", "sdk")
    assert repeated(*calls, connection=9, **SDK) == ("b", "sdk")


def test_a_retry_of_our_refusal_does_not_take_the_place_of_a_parallel_call():
    """Its twin is still under way, and is not what is tried again."""
    twin, refused = asked("a", "open"), asked("b", "blocked")
    assert repeated(twin, refused, **SDK) is None
    assert repeated(asked("a", seen_us=NOW - 2), refused) == ("a", "app")


def test_the_clients_own_id_decides_before_the_bytes():
    mine, other = asked("mine", "open", brief=2), asked("other", brief=2)
    assert repeated(mine, other, named=(mine,), retry_key="k") == ("mine", "app")
    assert repeated(mine, other, named=(mine,), retry_key="k", **SDK) == ("mine", "sdk")
    assert repeated(other, retry_key="k", **SDK) is None
    assert repeated(asked("plain"), retry_key="k", **SDK) == ("plain", "sdk")
    done = asked("mine", "done", brief=2)
    assert repeated(done, asked("plain"), named=(done,), retry_key="k", **SDK) is None


def test_calls_of_no_run_are_found_under_keys_of_their_own():
    stray = asked(run_id="")
    look = Lookup(same=1, stray_same=3, stray_retry=4)
    hints = Hints("t", "c", Kind.EMBEDDING, run="r", signature=5, body_hash=9)
    assert stray_retry_of(hints, look, {1: Calls((asked(),))}, NOW) is None
    assert stray_retry_of(hints, look, {3: Calls((stray,))}, NOW) == (stray, "app")
    assert stray_retry_of(hints, look, {4: Calls((stray,))}, NOW) == (stray, "app")


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_failed_call_that_stands_alone_is_tried_again(scene):
    failed = scene.tell(user("a"), state="failed", connection=1)
    again = scene.tell(user("a"), connection=2)
    assert (run(again), again.decision.retry_layer) == (run(failed), "app")


def test_beside_runs_that_begin_alike_a_retry_is_known_by_its_connection(scene):
    failed = scene.tell(user("a"), state="failed", connection=1)
    beside = scene.ask(user("a"), extra={"seed": 1}, connection=2, signature=7)
    other = scene.tell(user("b"), calls=[(CALL, "f")], connection=2)
    again = scene.tell(user("a"), connection=1)
    assert run(again) == run(failed)
    assert len({run(failed), run(beside), run(other)}) == 3


@pytest.mark.parametrize("state", ["failed", "open", "calls"])
def test_a_parallel_start_is_not_taken_for_the_retry_of_another(scene, state):
    scene.tell(
        user("a"), connection=1
    )  # done, and nothing follows: not beside the others
    first = scene.ask(user("a"), connection=2)
    second = scene.ask(user("a"), connection=3)
    scene.end(first, scene.now, "failed")
    if state != "open":
        is_done = state == "calls"
        scene.end(second, scene.now, "done" if is_done else "failed", calls=[(CALL, "f", {})] if is_done else ())  # fmt: skip
    third = scene.ask(user("a"), connection=4)
    assert len({run(each) for each in (first, second, third)}) == 3


def test_runs_that_follow_each_other_are_not_beside_one_another(scene):
    scene.tell(user("a"), text="done", connection=1)
    failed = scene.tell(user("a"), state="failed", connection=2)
    assert run(scene.tell(user("a"), connection=3)) == run(failed)


def test_a_retry_of_what_is_still_open_is_no_guess_among_several(scene):
    calls = [scene.ask(user("a"), connection=each) for each in (1, 2)]
    third = scene.ask(user("a"), connection=3, is_retry=True)
    assert run(third) not in map(run, calls)
