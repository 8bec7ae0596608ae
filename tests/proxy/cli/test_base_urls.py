"""The environment of a child of `tacho run`: each client's own form of a base URL, and what is left alone."""

import pytest

from proxy.accept.refusal import Refusal
from proxy.accept.routes import RouteTable
from proxy.cli.base_urls import VARIABLES, Place, child_environment
from proxy.http.headers import Headers
from proxy.providers import PROVIDERS
from tests.helpers.base_urls import EXPECTED, ROUTES

HERE = Place("http://127.0.0.1:4141", "R1")


def told(environ: dict[str, str], place: Place = HERE, **tags: str) -> dict[str, str]:
    return child_environment(place, ROUTES, environ, tags).variables


def test_each_variable_has_the_form_that_its_client_wants():
    assert {
        name: url.removeprefix("http://127.0.0.1:4141/run/R1")
        for name, url in told({}).items()
        if name != "TACHO_RUN"
    } == EXPECTED


def test_the_run_and_the_agent_are_told_too():
    said = told({}, Place("http://h:1", "R1", "booker"))
    assert (said["TACHO_RUN"], said["TACHO_AGENT"]) == ("R1", "booker")
    assert said["OPENAI_BASE_URL"] == "http://h:1/agent/booker/run/R1/openai/v1"


def test_no_variable_stands_twice():
    names = [variable.name for variable in VARIABLES]
    assert len(names) == len({*names})


def test_the_table_agrees_with_what_is_known_of_providers():
    known = {variable.name: variable for variable in VARIABLES}
    for provider in PROVIDERS:
        name, _, suffix = provider.own.partition("=")
        if name.isupper():
            assert (known[name].route, known[name].suffix) == (provider.name, suffix)


def test_a_variable_without_a_route_is_not_set():
    said = child_environment(HERE, {"openai": "https://api.openai.com"}, {}, {})
    assert {*said.variables} == {"TACHO_RUN", "OPENAI_BASE_URL", "OPENAI_API_BASE"}
    assert not said.left_alone


GIVEN = {
    "the provider itself": ("https://api.openai.com/v1", "/run/R1/openai/v1"),
    "another version": ("https://api.openai.com/v2/", "/run/R1/openai/v2/"),
    "another provider": ("https://api.deepseek.com/v1", "/run/R1/deepseek/v1"),
    "the longest route": ("https://gw.test/team/v1", "/run/R1/team/v1"),
    "the shorter route": ("https://gw.test/v1", "/run/R1/gateway/v1"),
    "the data port": ("http://127.0.0.1:4141/openai/v1", "/run/R1/openai/v1"),
    "the same by name": ("http://localhost:4141/groq/x", "/run/R1/groq/x"),
    "another run": ("http://127.0.0.1:4141/run/old/openai/v1", "/run/R1/openai/v1"),
    "an agent": (
        "http://127.0.0.1:4141/tenant/t/agent/a/openai/v1",
        "/tenant/t/agent/a/run/R1/openai/v1",
    ),
    "no route": ("http://127.0.0.1:4141/v1", "/run/R1/v1"),
    "nothing": ("http://127.0.0.1:4141/", "/run/R1"),
}


@pytest.mark.parametrize(("given", "expected"), GIVEN.values(), ids=GIVEN.keys())
def test_what_is_set_already_leads_to_the_same_place(given: str, expected: str):
    assert told({"OPENAI_BASE_URL": given})["OPENAI_BASE_URL"] == (
        f"http://127.0.0.1:4141{expected}"
    )


def test_the_named_agent_wins_over_the_one_in_the_path():
    given = {"OPENAI_BASE_URL": "http://127.0.0.1:4141/agent/a/openai/v1"}
    said = told(given, Place("http://127.0.0.1:4141", "R1", "b"))
    assert said["OPENAI_BASE_URL"].endswith("/agent/b/run/R1/openai/v1")


ELSEWHERE = {
    "a gateway": ("OPENAI_BASE_URL", "https://me:secret@llm.corp.test/v1", "llm.corp.test"),
    "a machine": ("OLLAMA_HOST", "gpu-box:11434", "gpu-box:11434"),
    "a host that only begins alike": ("OPENAI_BASE_URL", "https://api.openai.com.evil.test", "api.openai.com.evil.test"),
    "another port": ("OPENAI_BASE_URL", "http://127.0.0.1:9999/v1", "127.0.0.1:9999"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "given", "host"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_leads_elsewhere_is_left_alone_and_named(name: str, given: str, host: str):
    said = child_environment(HERE, ROUTES, {name: given}, {})
    assert name not in said.variables
    assert said.left_alone == ((name, host),)


SHARED = "http://gw.test:8089"


def test_of_routes_to_one_place_the_providers_own_is_taken():
    routes = {"openai": SHARED, "anthropic": SHARED, "zz": SHARED}
    given = {"ANTHROPIC_BASE_URL": SHARED, "OPENAI_BASE_URL": f"{SHARED}/v1"}
    said = child_environment(HERE, routes, given, {})
    assert said.variables["ANTHROPIC_BASE_URL"].endswith("/run/R1/anthropic")
    assert said.variables["OPENAI_BASE_URL"].endswith("/run/R1/openai/v1")
    assert said.ambiguous == ()


def test_a_route_may_say_whose_it_is():
    given = {"ANTHROPIC_BASE_URL": SHARED}
    routes, owners = {"a": SHARED, "b": SHARED}, {"a": "", "b": "anthropic"}
    said = child_environment(HERE, routes, given, {}, owners)
    assert said.variables["ANTHROPIC_BASE_URL"].endswith("/run/R1/b")
    assert said.ambiguous == ()


def test_a_choice_that_is_none_of_the_providers_is_named():
    given = {"ANTHROPIC_BASE_URL": SHARED, "OPENAI_BASE_URL": f"{HERE.url}/b"}
    said = child_environment(HERE, {"b": SHARED, "a": SHARED}, given, {})
    assert said.variables["ANTHROPIC_BASE_URL"].endswith("/run/R1/a")
    assert said.ambiguous == (("ANTHROPIC_BASE_URL", "a", ("b",)),)


def test_a_path_that_the_data_port_would_refuse_stays():
    given = "http://127.0.0.1:4141/run/no%20good/openai/v1"
    assert told({"OPENAI_BASE_URL": given})["OPENAI_BASE_URL"] == given


def test_a_machine_without_scheme_is_one_all_the_same():
    assert told({"OLLAMA_HOST": "127.0.0.1:11434"})["OLLAMA_HOST"] == (
        "http://127.0.0.1:4141/run/R1/ollama"
    )


def test_tags_are_headers_where_a_client_takes_some():
    said = told({"ANTHROPIC_CUSTOM_HEADERS": "a: b"}, team="blue", lane="x")
    lines = ["x-tacho-tag-team: blue", "x-tacho-tag-lane: x"]
    assert said["OPENAI_CUSTOM_HEADERS"].splitlines() == lines
    assert said["ANTHROPIC_CUSTOM_HEADERS"].splitlines() == ["a: b", *lines]


def test_no_tag_goes_where_no_route_leads():
    said = told({"OPENAI_BASE_URL": "https://llm.corp.test/v1"}, team="blue")
    assert "OPENAI_CUSTOM_HEADERS" not in said


def test_default_ports_are_ports():
    place = Place("http://proxy.test:80", "R1")
    assert told({"OPENAI_BASE_URL": "http://proxy.test/openai"}, place)[
        "OPENAI_BASE_URL"
    ] == ("http://proxy.test:80/run/R1/openai")


def test_what_is_set_is_what_the_data_port_reads():
    table = RouteTable([])
    for url in told({}, Place("http://127.0.0.1:4141", "R1", "a")).values():
        if url.startswith("http"):
            target = url.removeprefix("http://127.0.0.1:4141").encode()
            refusal = table.match("POST", target + b"/x", Headers(()))
            assert isinstance(refusal, Refusal)
            assert refusal.code == "no_route"
