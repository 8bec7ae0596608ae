import pytest

from proxy.http.headers import Headers
from proxy.identify.explicit import Explicit
from proxy.identify.who import Who, agent_of_user_agent, who
from proxy.model import ANONYMOUS, Client

GIVEN = Explicit(tenant="given", agent="given", agent_source="path")
HARNESS = Headers([(b"User-Agent", b"claude-cli/2.0 (external)")])
NONE = Headers([])


@pytest.mark.parametrize(
    ("explicit", "client", "headers", "expected"),
    [
        pytest.param(
            GIVEN,
            ANONYMOUS,
            HARNESS,
            Who("home", "given", "path"),
            id="without keys the agent counts",
        ),
        pytest.param(
            GIVEN,
            Client("k", "acme", "ci"),
            HARNESS,
            Who("acme", "ci", "client_key"),
            id="the key decides",
        ),
        pytest.param(
            GIVEN,
            Client("k"),
            HARNESS,
            Who("home", "claude-code", "user_agent"),
            id="a key without names",
        ),
        pytest.param(
            GIVEN,
            Client("k", "acme", "ci", frozenset({"tenant", "agent"})),
            HARNESS,
            Who("given", "given", "path"),
            id="a key that may set both",
        ),
        pytest.param(
            GIVEN,
            Client("k", "acme", "ci", frozenset({"tenant"})),
            NONE,
            Who("given", "ci", "client_key"),
            id="a key that may set the tenant",
        ),
        pytest.param(
            Explicit(),
            Client("k", "acme", may_set=frozenset({"tenant", "agent"})),
            NONE,
            Who("acme", "env-agent", "env"),
            id="nothing given",
        ),
        pytest.param(
            Explicit(),
            ANONYMOUS,
            HARNESS,
            Who("home", "claude-code", "user_agent"),
            id="harness",
        ),
    ],
)
def test_the_first_rung_that_holds_names_the_agent(explicit, client, headers, expected):
    assert who(explicit, client, headers, tenant="home", agent="env-agent") == expected


def test_nobody_known_is_an_empty_agent_without_a_source():
    assert who(Explicit(), ANONYMOUS, NONE, tenant="home", agent="") == Who(
        "home", "", ""
    )


@pytest.mark.parametrize(
    ("user_agent", "agent"),
    [
        (b"claude-cli/2.1.3 (external, cli)", "claude-code"),
        (b"codex_cli_rs/0.1 (Linux)", "codex"),
        (b"My-Bot/1.0", "my-bot"),
        (b"mybot", "mybot"),
        (b"OpenAI/Python 2.0", ""),
        (b"AsyncAnthropic/Python 1.0", ""),
        (b"Agents/Python 0.2", ""),
        (b"python-requests/2", ""),
        (b"curl/8", ""),
        (b"Mozilla/5.0 (X11)", ""),
        (b"Go-http-client/1.1", ""),
        (b"ai/5.0", ""),
        (b"", ""),
        (b"(x)", ""),
        (b"x" * 100, ""),
        (b"bot\x1b/1", ""),
    ],
)
def test_a_user_agent_names_an_agent_only_if_it_is_no_library(user_agent, agent):
    assert agent_of_user_agent(user_agent) == agent
