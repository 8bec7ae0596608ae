import pytest

from proxy.accept.recognise import provider_of_request, providers_of_keys
from proxy.http.headers import Headers

ANTHROPIC = b"sk-ant-api03-abcdefgh"
OPENAI = b"sk-proj-abcdefghijklT3BlbkFJabcdefghijkl"


def bearer(key: bytes) -> Headers:
    return Headers([(b"Authorization", b"Bearer " + key)])


@pytest.mark.parametrize(
    ("key", "providers"),
    [
        (ANTHROPIC, {"anthropic"}),
        (OPENAI, {"openai"}),
        (b"sk-abcdefghijklmnopqrstT3BlbkFJabcdefghijklmnopqrst", {"openai"}),
        (b"sk-svcacct-" + b"a" * 20, {"openai"}),
        (b"sk-ant-T3BlbkFJxxxxxxxx", {"anthropic"}),
        (b"sk-or-v1-" + b"a" * 64, {"openrouter"}),
        (b"gsk_" + b"a" * 52, {"groq"}),
        (b"sk-" + b"a" * 32, set()),
        (b"sk-1234", set()),
        (b"sk-ant-", set()),
        (b"x" + OPENAI, set()),
    ],
)
def test_keys_tell_their_provider(key, providers):
    assert providers_of_keys(bearer(key), b"") == providers


@pytest.mark.parametrize(
    ("headers", "path", "provider"),
    [
        (bearer(ANTHROPIC), b"/v1/messages", "anthropic"),
        (
            Headers([(b"x-api-key", ANTHROPIC)]),
            b"/v1/messages/count_tokens",
            "anthropic",
        ),
        (bearer(ANTHROPIC), b"/v1/models", "anthropic"),
        (bearer(ANTHROPIC), b"/v1/messagesx", ""),
        (bearer(ANTHROPIC), b"/v1/chat/completions", ""),
        (bearer(OPENAI), b"/v1/chat/completions", "openai"),
        (bearer(OPENAI), b"/v1/responses/resp_1", "openai"),
        (bearer(OPENAI), b"/v1/models", "openai"),
        (bearer(OPENAI), b"/v1/messages", ""),
        (bearer(OPENAI), b"/chat/completions", ""),
        (bearer(b"gsk_" + b"a" * 52), b"/v1/chat/completions", ""),
        (bearer(b"sk-1234"), b"/v1/chat/completions", ""),
        (Headers([]), b"/v1/messages", ""),
    ],
)
def test_a_request_is_a_providers_only_if_path_and_key_say_so(headers, path, provider):
    assert provider_of_request(path, headers, b"") == provider


def test_keys_of_two_providers_are_nobodys():
    headers = Headers(
        [(b"x-api-key", ANTHROPIC), (b"authorization", b"Bearer " + OPENAI)]
    )
    assert provider_of_request(b"/v1/models", headers, b"") == ""
