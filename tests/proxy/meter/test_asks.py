import msgspec

from proxy.meter import asks
from proxy.meter.dialect import Operation
from proxy.model import Ask, Kind

OPERATION = Operation("chat", Kind.LLM, is_step=True, buffered=True)


def test_a_blank_ask_names_the_operation_alone():
    assert asks.blank("d", OPERATION) == Ask("d", "chat", Kind.LLM, True)
    assert not asks.blank("d", OPERATION, well_formed=False).well_formed


def test_prompt_text_is_counted_without_names_and_media():
    messages = msgspec.Raw(
        b'[{"role":"user","content":[{"type":"text","text":"abc"},{"image_url":{"url":"xxxxxxx"}}]}]'
    )
    assert (
        asks.prompt_chars(
            messages, msgspec.Raw(), msgspec.Raw(b'"de"'), msgspec.Raw(b"{")
        )
        == 5
    )


def test_a_body_of_another_shape_is_none():
    assert asks.read(msgspec.json.Decoder(list[int]), b"{}") is None
    assert asks.read(msgspec.json.Decoder(list[int]), b"[1]") == [1]


def test_a_flag_is_a_boolean_or_unknown():
    assert [asks.flag(value) for value in (True, False, None, 1, "yes")] == [
        True,
        False,
        None,
        None,
        None,
    ]


def test_a_deployment_in_the_path_is_the_model():
    path = "/openai/deployments/a%2Fb/chat/completions"
    assert asks.of_deployment(OPERATION, path).model == "a/b"
    assert asks.of_deployment(OPERATION, "/v1/chat/completions") is OPERATION
