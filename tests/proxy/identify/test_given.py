from hypothesis import given as drawn
from hypothesis import strategies as st

from proxy.identify.given import given_id
from proxy.model import is_id


def test_an_id_of_the_right_form_stays_readable():
    assert given_id("codex", "0199-ab") == "codex-0199-ab"
    assert given_id("codex", "") == ""


@drawn(st.text(min_size=1, max_size=300))
def test_every_other_one_becomes_its_hash(text):
    assert is_id(given_id("session", text))
    assert given_id("session", text) == given_id("session", text)
