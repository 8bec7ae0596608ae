"""Words and values are taken one after the other; what stands elsewhere is said. Plans as a whole are in test_parser.py."""

import pytest

from proxy.simulate.scanner import PlanError, Scanner


def test_words_and_values_are_taken_in_their_order():
    scan = Scanner('call a.b {"c": 1} times 3 0.5 | rest', 0)
    assert scan.peek() == "call"
    assert scan.word_is("call")
    assert scan.word() == "call"
    assert scan.name() == "a.b"
    assert scan.arguments() == {"c": 1}
    assert scan.arguments() is None
    assert not scan.keyword("always")
    assert scan.keyword("times")
    assert scan.count("a count", 3) == 3
    assert scan.seconds() == 0.5
    assert scan.eat("|")
    assert not scan.eat("|")
    scan.expect("rest")
    assert scan.at == len(scan.text)


def test_what_stands_elsewhere_is_said():
    scan = Scanner("xa c", 1)
    assert scan.word() == "a"
    with pytest.raises(PlanError, match="at character 3, before 'c': expected b"):
        scan.expect("b")
    with pytest.raises(PlanError, match="at the end of the text"):
        Scanner("", 0).name()
