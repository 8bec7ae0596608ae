"""Requests without key or with no JSON are refused in the family's shape."""

import pytest

from tests.helpers.simulated import call, path_of


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_object_is_refused(provider, body):
    said = call(provider.url, path_of("anthropic_messages"), body)
    assert (said.status, said.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_key_is_needed_and_any_will_do(provider):
    path = path_of("anthropic_messages")
    said = call(provider.url, path, {}, headers={"authorization": ""})
    assert (said.status, said.json()["error"]["type"]) == (401, "authentication_error")
    for given in ({"x-api-key": "a"}, {"x-goog-api-key": "a"}, {"api-key": "a"}):
        headers = {"authorization": "", **given}
        assert call(provider.url, path, {}, headers=headers).status == 400
    assert (
        call(provider.url, path + "?key=a", {}, headers={"authorization": ""}).status
        == 400
    )
