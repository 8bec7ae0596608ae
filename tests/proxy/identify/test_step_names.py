import pytest

from proxy.identify.step_names import StepNames, template
from proxy.model import Kind


def test_a_given_name_wins():
    assert StepNames().name("plan", Kind.LLM, "openai", "POST", "/v1", "chat") == (
        "plan",
        "header",
    )


@pytest.mark.parametrize("kind", [Kind.LLM, Kind.EMBEDDING])
def test_a_model_call_is_called_by_its_operation(kind):
    assert StepNames().name("", kind, "openai", "POST", "/v1/x", "chat") == (
        "chat",
        "operation",
    )


def test_a_model_call_is_called_by_the_results_that_it_reads():
    names = StepNames(max_names=1)
    for after, name in (("after a", "after a"), ("after b", "other")):
        said = names.name("", Kind.LLM, "o", "POST", "/", "chat", after=after)
        assert said == (name, "results")
    given = names.name("plan", Kind.LLM, "o", "POST", "/", "chat", after="after a")
    assert given == ("plan", "header")


def named(tool: str, names: StepNames | None = None) -> tuple[str, str]:
    path, operation = "/mcp", "tools/call"
    names = names or StepNames()
    return names.name("", Kind.MCP, "tickets", "POST", path, operation, tool)


def test_an_mcp_call_is_called_by_its_tool():
    assert named("find_ticket") == ("find_ticket", "tool")
    given = StepNames().name("plan", Kind.MCP, "t", "POST", "/", "tools/call", "find")
    assert given == ("plan", "header")


def test_an_mcp_call_without_tool_is_called_by_its_operation():
    assert named("") == ("tools/call", "operation")


@pytest.mark.parametrize("tool", ["find me", "x" * 129, "f\N{SNOWMAN}", "f\n"])
def test_what_no_server_calls_a_tool_is_other(tool):
    assert named(tool) == ("other", "tool")


def test_tools_beyond_the_cap_are_other_and_take_no_place_from_templates():
    names = StepNames(max_names=1)
    assert named("a", names) == ("a", "tool")
    assert named("b", names) == ("other", "tool")
    assert names.name("", Kind.TOOL, "a", "GET", "/x", "http") == ("a GET /x", "route")
    assert names.overflowed == 1


def test_other_calls_are_called_by_route_and_template():
    name = StepNames().name("", Kind.TOOL, "search", "GET", "/users/42", "http")
    assert name == ("search GET /users/{}", "route")


def test_names_beyond_the_cap_are_other():
    names = StepNames(max_names=1)
    assert names.name("", Kind.TOOL, "a", "GET", "/x", "http") == ("a GET /x", "route")
    assert names.name("", Kind.TOOL, "a", "GET", "/y", "http") == ("other", "route")
    assert names.name("", Kind.TOOL, "a", "GET", "/x", "http") == ("a GET /x", "route")
    assert names.overflowed == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("/v1/users", "/v1/users"),
        ("/users/42/orders/", "/users/{}/orders"),
        ("/users/0f8fad5b-d9cb-469f-a165-70867728950e", "/users/{}"),
        ("/reset/eyJhbGciOiJIUzI1NiJ9", "/reset/{}"),
        ("/mail/jo@example.com", "/mail/{}"),
        ("/a%20b", "/{}"),
        ("/tool_calls/get-user-by-name", "/tool_calls/get-user-by-name"),
        ("/a/b/c/d/e/f", "/a/b/c/d/..."),
    ],
)
def test_a_template_keeps_words_only(path, expected):
    assert template(path) == expected
