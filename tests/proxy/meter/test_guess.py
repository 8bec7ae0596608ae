import pytest

from proxy.meter.guess import SAMPLE_CHARS, tokens

# Counted with OpenAI's o200k_base.
KNOWN = {
    "The quick brown fox jumps over the lazy dog, and then it goes home.": 15,
    '{"location":"San Francisco, CA","unit":"celsius"}': 12,
    "def add(a: int, b: int) -> int:\n    return a + b\n": 18,
    "Быстрая коричневая лиса перепрыгивает через ленивую собаку.": 17,
    "今天我们将研究改善欧洲大城市水质的各种方法。": 15,
}


@pytest.mark.parametrize(("text", "truth"), KNOWN.items())
def test_a_guess_is_near_the_truth(text: str, truth: int):
    assert tokens(text * 4) == pytest.approx(4 * truth, rel=0.3)


def test_no_text_is_no_token():
    assert tokens("") == 0


def test_a_long_text_goes_on_as_it_began():
    text = "word " * SAMPLE_CHARS
    assert tokens(text) == pytest.approx(SAMPLE_CHARS * 1.01, rel=0.01)
