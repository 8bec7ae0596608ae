import pytest

from proxy.accept.recognise import is_meant_for, owners_of_keys, provider_of_request
from proxy.http.headers import Headers

ANTHROPIC = b"sk-ant-api03-abcdefgh"
OPENAI = b"sk-proj-abcdefghijklT3BlbkFJabcdefghijkl"
GOOGLE = b"AIza" + b"a" * 35
AZURE = b"0123456789abcdef" * 2
AZURE_MARKED = b"a" * 52 + b"JQQJ99BAACYeBjFXJ3w3AAABACOG" + b"a" * 4
GROQ = b"gsk_" + b"a" * 52
OPENROUTER = b"sk-or-v1-" + b"a" * 64


def bearer(key: bytes) -> Headers:
    return Headers([(b"Authorization", b"Bearer " + key)])


def slot(name: bytes, key: bytes) -> Headers:
    return Headers([(name, key)])


@pytest.mark.parametrize(
    ("key", "providers"),
    [
        (ANTHROPIC, {"anthropic"}),
        (OPENAI, {"openai"}),
        (b"sk-abcdefghijklmnopqrstT3BlbkFJabcdefghijklmnopqrst", {"openai"}),
        (b"sk-svcacct-" + b"a" * 20, {"openai"}),
        (b"sk-ant-T3BlbkFJxxxxxxxx", {"anthropic"}),
        (OPENROUTER, {"openrouter"}),
        (GROQ, {"groq"}),
        (GOOGLE, {"gemini", "vertex"}),
        (b"xai-" + b"a" * 80, {"xai"}),
        (b"pplx-" + b"a" * 48, {"perplexity"}),
        (b"fw_" + b"a" * 24, {"fireworks"}),
        (b"csk-" + b"a" * 48, {"cerebras"}),
        (b"hf_" + b"a" * 34, {"huggingface"}),
        (b"pa-" + b"a" * 43, {"voyage"}),
        (b"nvapi-" + b"a" * 64, {"nvidia"}),
        (b"tgp_v1_" + b"a" * 40, {"together"}),
        (b"sk-" + b"a" * 32, None),
        (b"sk-1234", None),
        (b"sk-ant-", None),
        (b"x" + OPENAI, None),
        (AZURE, None),
        (AZURE_MARKED, {"azure"}),
        (AZURE_MARKED.replace(b"JQQJ", b"xxxx"), {"azure"}),
        (AZURE_MARKED.replace(b"ACOG", b"xxxx"), {"azure"}),
        (b"a" * 84, None),
    ],
)
def test_keys_tell_their_provider(key, providers):
    assert owners_of_keys(bearer(key), b"") == ([providers] if providers else [])


def test_keys_are_found_wherever_providers_look_for_them():
    assert owners_of_keys(slot(b"x-goog-api-key", GOOGLE), b"")
    assert owners_of_keys(Headers([]), b"key=" + GOOGLE)
    assert owners_of_keys(slot(b"api-key", AZURE), b"") == [{"azure"}]
    assert owners_of_keys(slot(b"api-key", b"a" * 84), b"") == [{"azure"}]
    signed = b"AWS4-HMAC-SHA256 Credential=AKIA0123456789ABCDEF/2026/eu/x, Signature=y"
    assert owners_of_keys(slot(b"authorization", signed), b"") == [{"bedrock"}]


CHAT = b"/v1/chat/completions"


@pytest.mark.parametrize(
    ("headers", "path", "provider"),
    [
        (bearer(ANTHROPIC), b"/v1/messages", "anthropic"),
        (slot(b"x-api-key", ANTHROPIC), b"/v1/messages/count_tokens", "anthropic"),
        (bearer(ANTHROPIC), b"/v1/models", "anthropic"),
        (bearer(ANTHROPIC), b"/v1/messagesx", ""),
        (bearer(ANTHROPIC), CHAT, ""),
        (bearer(OPENAI), CHAT, "openai"),
        (bearer(OPENAI), b"/v1/responses/resp_1", "openai"),
        (bearer(OPENAI), b"/v1/models", "openai"),
        (bearer(OPENAI), b"/v1/messages", ""),
        (bearer(OPENAI), b"/chat/completions", ""),
        (bearer(GROQ), CHAT, ""),
        (bearer(GROQ), b"/openai" + CHAT, "groq"),
        (bearer(OPENROUTER), b"/api" + CHAT, "openrouter"),
        (bearer(OPENROUTER), CHAT, ""),
        (bearer(b"xai-" + b"a" * 80), CHAT, "xai"),
        (bearer(b"pplx-" + b"a" * 48), b"/chat/completions", "perplexity"),
        (bearer(b"fw_" + b"a" * 24), b"/inference" + CHAT, "fireworks"),
        (bearer(b"fw_" + b"a" * 24), CHAT, ""),
        (bearer(b"csk-" + b"a" * 48), CHAT, "cerebras"),
        (bearer(b"hf_" + b"a" * 34), b"/together" + CHAT, "huggingface"),
        (bearer(b"pa-" + b"a" * 43), b"/v1/rerank", "voyage"),
        (bearer(b"pa-" + b"a" * 43), CHAT, ""),
        (slot(b"x-goog-api-key", GOOGLE), b"/v1beta/models/g:generateContent", "gemini"),
        (slot(b"x-goog-api-key", GOOGLE), b"/v1/projects/p/locations/l", ""),
        (slot(b"x-goog-api-key", b"mine"), b"/v1beta/models/g:generateContent", ""),
        (bearer(GOOGLE), b"/v1beta/openai/chat/completions", "gemini"),
        (slot(b"api-key", AZURE), b"/openai/deployments/d/chat/completions", "azure"),
        (bearer(AZURE), b"/openai/deployments/d/chat/completions", ""),
        (bearer(b"sk-1234"), CHAT, ""),
        (Headers([]), b"/v1/messages", ""),
    ],
)  # fmt: skip
def test_a_request_is_a_providers_only_if_path_and_key_say_so(headers, path, provider):
    assert provider_of_request(path, headers, b"") == provider


def test_a_key_in_the_query_counts():
    path = b"/v1beta/models/g:streamGenerateContent"
    assert provider_of_request(path, Headers([]), b"alt=sse&key=" + GOOGLE) == "gemini"


def test_keys_of_two_providers_are_nobodys():
    headers = Headers(
        [(b"x-api-key", ANTHROPIC), (b"authorization", b"Bearer " + OPENAI)]
    )
    assert provider_of_request(b"/v1/models", headers, b"") == ""
    assert not is_meant_for("openai", headers, b"")
    assert not is_meant_for("anthropic", headers, b"")


def test_a_key_of_unknown_shape_may_go_where_the_route_says():
    assert is_meant_for("mistral", bearer(b"a" * 32), b"")
    assert is_meant_for("vertex", slot(b"x-goog-api-key", GOOGLE), b"")
    assert not is_meant_for("mistral", bearer(OPENAI), b"")
