from proxy.identify.growth import cuts

PROMPT = "Answer.\nQuestion: q?\nThought:"


def test_a_longer_prompt_is_cut_where_the_shorter_was():
    short, long = cuts(PROMPT, 3), cuts(PROMPT + " hm\nObservation: o\nThought: ", 3)
    assert [cut.place for cut in short] == [20, 7]
    assert short == long[-2:]
    assert len(long) == 4


def test_text_without_turns_has_no_cuts():
    assert cuts("One.\nTwo.", 3) == []
