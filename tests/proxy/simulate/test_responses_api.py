"""What the Responses API remembers."""

import pytest

from proxy.simulate.engine import Settings
from proxy.simulate.pace import Pace
from tests.helpers.simulated import call, simulated

PATH = "/v1/responses"
TWICE = "<<plan: say one | say two>>"


def create(provider, **body):
    return call(provider.url, PATH, {"model": "gpt-4o", **body})


def said(response):
    return response["output"][0]["content"][0]["text"]


def get(provider, path, method="GET"):
    return call(provider.url, path, b"", method)


def test_an_answer_can_be_continued_listed_and_deleted(provider):
    first = create(provider, input=TWICE).json()
    second = create(provider, input="Go on", previous_response_id=first["id"]).json()
    assert (said(first), said(second)) == ("one", "two")
    assert second["previous_response_id"] == first["id"]
    path = f"{PATH}/{second['id']}"
    assert get(provider, path).json() == second
    listed = get(provider, f"{path}/input_items").json()
    assert listed["data"][-1]["content"] == TWICE
    assert get(provider, path, "DELETE").json()["deleted"]
    assert get(provider, path).status == 404


def test_what_is_not_stored_is_not_found(provider):
    first = create(provider, input=TWICE, store=False).json()
    refused = create(provider, input="Go on", previous_response_id=first["id"])
    assert refused.status == 400
    assert refused.json()["error"]["code"] == "previous_response_not_found"


def test_a_conversation_remembers_what_was_said(provider):
    opened = call(provider.url, "/v1/conversations", {"metadata": {"a": "b"}}).json()
    first = create(provider, input=TWICE, conversation=opened["id"]).json()
    second = create(provider, input="Go on", conversation={"id": opened["id"]}).json()
    assert (said(first), said(second)) == ("one", "two")
    assert first["conversation"] == second["conversation"] == {"id": opened["id"]}
    path = f"/v1/conversations/{opened['id']}"
    assert get(provider, path).json() == opened
    assert len(get(provider, f"{path}/items").json()["data"]) == 4
    assert get(provider, path, "DELETE").json()["deleted"]
    assert create(provider, input="x", conversation=opened["id"]).status == 404


def test_an_answer_made_in_the_background_is_ready_later():
    pace = Pace(speed=1, first_token_seconds=600)
    with simulated(Settings(pace=pace)) as provider:
        queued = create(provider, input="Hi", background=True).json()
        assert (queued["status"], queued["usage"]) == ("queued", None)
        path = f"{PATH}/{queued['id']}"
        assert get(provider, path).json()["status"] == "in_progress"
        assert get(provider, f"{path}/cancel", "POST").json()["status"] == "cancelled"
        assert get(provider, path).json()["status"] == "cancelled"


def test_an_answer_made_in_the_background_has_its_usage(provider):
    queued = create(provider, input="Hi", background=True).json()
    ready = get(provider, f"{PATH}/{queued['id']}").json()
    assert ready["status"] == "completed"
    assert ready["usage"]["output_tokens"] > 0
    assert get(provider, f"{PATH}/{queued['id']}/cancel", "POST").json() == ready


def test_tokens_are_counted_as_they_are_billed(provider):
    counted = call(provider.url, f"{PATH}/input_tokens", {"input": "some words"}).json()
    billed = create(provider, input="some words").json()["usage"]["input_tokens"]
    assert counted["input_tokens"] == billed


@pytest.mark.parametrize("given", [{}, {"input": 3}])
def test_an_input_is_needed(provider, given):
    assert create(provider, **given).status == 400
