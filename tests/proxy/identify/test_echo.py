from proxy.identify.echo import LOOKED_CHARS, Piece, echoed, of_answer, pieces
from proxy.identify.facts import Link

ANSWER = "The invoice is from the northern branch. It has a total of four hundred.\nNo."


def found(*links: Link) -> tuple[list[tuple[int, int]], dict[int, Link]]:
    return [(number, 30) for number in range(len(links))], dict(enumerate(links))


def test_pieces_stay_when_an_answer_is_quoted():
    own = of_answer(ANSWER, "Read the invoice.", 3)
    assert len(own) == 2
    for prompt in (f"Result: {ANSWER}", f'{{"result": "{ANSWER}"}}', ANSWER.replace("\n", "\\n"), f"> {ANSWER.upper()}"):  # fmt: skip
        assert set(own) <= set(pieces(prompt, 3))


def test_what_the_request_said_itself_is_not_the_answers():
    assert of_answer(ANSWER, f"Quote: {ANSWER}", 3) == []


def test_a_label_does_not_hide_what_stands_behind_it():
    (plain,) = pieces("the vendor is the northern branch", 3)
    assert plain in pieces("Summary: the vendor is the northern branch", 3)
    assert len(pieces("Summary of it: short", 3)) == 0


def test_of_many_pieces_those_with_small_hashes_stay():
    text = "\n".join(f"this is the line with number {n} of it" for n in range(200))
    assert pieces(text, 3, 10) == sorted(pieces(text, 3, 10_000))[:10]
    assert len(pieces("x" * LOOKED_CHARS * 3, 3)) == 1


def test_one_short_piece_is_chance():
    looked, links = found(Link("a"))
    assert echoed(looked, links) is None
    assert echoed([(0, 50)], links) == (Link("a"), 1)


def test_the_run_with_most_of_the_text_is_quoted():
    looked, links = found(Link("a", 2), Link("a", 1), Link("b"))
    assert echoed(looked, links) == (Link("a", 2), 2)


def test_two_runs_that_are_quoted_alike_are_none():
    assert echoed(*found(Link("a"), Link("a"), Link("b"), Link("b"))) is None
    assert echoed(*found(Link("a", is_ambiguous=True))) is None
    assert echoed([(1, 50)], {}) is None
    assert Piece(1, 2).chars == 2
