"""Which names a caller may give."""

import pytest

from proxy.model import ANONYMOUS, is_id

IDS = {"a", "A.b_c:d-9", "0" * 128}
NO_IDS = {"", "0" * 129, "a b", "a/b", "ü", "a\n", "\na", "a%20b", "a\0"}


@pytest.mark.parametrize("text", sorted(IDS))
def test_what_may_be_an_id(text: str):
    assert is_id(text)


@pytest.mark.parametrize("text", sorted(NO_IDS))
def test_what_may_not_be_an_id(text: str):
    assert not is_id(text)


def test_without_keys_a_request_names_its_agent_and_never_its_tenant():
    assert ANONYMOUS.may_set == {"agent"}
    assert not ANONYMOUS.tenant
