from proxy.identify.answering import step_name
from proxy.identify.items import answer_item, tool_item, user_item

SEED = 3


def asked(*calls):
    return answer_item(SEED, "", [(call_id, name, b"{}") for call_id, name in calls])


def result(call_id, name=""):
    return tool_item(SEED, call_id, name, [b"x"])


def test_a_step_is_named_after_the_results_that_it_reads():
    assert step_name([asked(("a", "search")), result("a")]) == "after search"
    assert step_name([asked(("a", "search"), ("b", "read")), result("b"), result("a")]) == "after read, search"  # fmt: skip
    assert step_name([result("", "own")]) == "after own"


def test_without_ids_results_stand_in_the_order_of_the_calls():
    assert step_name([asked(("", "f"), ("", "g")), result(""), result("")]) == "after f, g"  # fmt: skip
    assert step_name([asked(("", "f"), ("", "g")), result("")]) == ""


def test_steps_that_read_no_result_have_no_such_name():
    user = user_item(SEED, "Hi")
    assert user
    assert step_name([]) == step_name([user]) == ""
    assert step_name([asked(("a", "no name for a label\n")), result("a")]) == ""
    assert step_name([result("x")]) == ""


def test_many_tools_are_counted():
    calls = [(str(n), f"f{n}") for n in range(5)]
    assert step_name([asked(*calls), *(result(n) for n, _ in calls)]) == "after 5 tools"  # fmt: skip


def test_a_step_whose_conversation_names_no_tool_is_named_after_those_awaited():
    assert step_name([result("x")], ["search", "search", "\n"]) == "after search"
    user = user_item(SEED, "Hi")
    assert user
    assert step_name([user], ["search"]) == step_name([], ["search"]) == ""
