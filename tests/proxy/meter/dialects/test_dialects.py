import pytest

from proxy.meter.dialects import DIALECTS, PLAIN_HTTP, recognise
from proxy.model import Kind


def test_names_are_unique_and_plain_http_comes_last():
    names = [dialect.name for dialect in DIALECTS]
    assert len(set(names)) == len(names)
    assert DIALECTS[-1] is PLAIN_HTTP


@pytest.mark.parametrize("kind", [Kind.LLM, Kind.EMBEDDING])
def test_routes_to_models_are_asked_for_model_apis(kind: Kind):
    dialect, operation = recognise(kind, "", "POST", "/v1/embeddings")
    assert (dialect.name, operation.name) == ("openai_embeddings", "embeddings")


@pytest.mark.parametrize("kind", [Kind.TOOL, Kind.OTHER])
def test_tools_with_paths_like_model_apis_stay_tools(kind: Kind):
    assert recognise(kind, "", "POST", "/v1/messages")[0] is PLAIN_HTTP


def test_the_settings_may_force_a_dialect():
    assert (
        recognise(Kind.TOOL, "openai_chat", "POST", "/chat/completions")[0].name
        == "openai_chat"
    )
    assert recognise(Kind.LLM, "openai_chat", "POST", "/v1/messages")[0] is PLAIN_HTTP


@pytest.mark.parametrize("kind", [Kind.LLM, Kind.EMBEDDING])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/user/balance", "/api/v1/key"])
def test_what_only_reads_something_of_a_models_api_is_no_work(
    kind: Kind, method: str, path: str
):
    dialect, operation = recognise(kind, "", method, path)
    assert (dialect, operation.is_step) == (PLAIN_HTTP, False)


def test_a_forced_dialect_does_not_make_a_list_of_models_work():
    dialect, operation = recognise(Kind.LLM, "openai_chat", "GET", "/v1/models")
    assert (dialect, operation.is_step) == (PLAIN_HTTP, False)


def test_a_websocket_to_a_model_and_a_tool_that_reads_are_work():
    upgraded = recognise(Kind.LLM, "", "GET", "/v1/realtime", upgrade=True)
    assert upgraded[1].is_step
    assert recognise(Kind.TOOL, "", "GET", "/users")[1].is_step
    assert recognise(Kind.LLM, "", "POST", "/unknown")[1].is_step


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_the_file_is_named_after_the_dialect(dialect: object):
    assert type(dialect).__module__.endswith(
        "." + DIALECTS[DIALECTS.index(dialect)].name
    )
