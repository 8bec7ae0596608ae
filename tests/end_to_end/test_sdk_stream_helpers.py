"""The SDKs' own helpers, which gather a stream into one answer, gather the same through the proxy.

What lives here: `stream()` of Chat Completions, Responses and Messages over recorded streams. What does not: raw streams.
"""

from typing import Any

import anthropic
import openai
import pytest

from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.recordings import SUBSET
from tests.helpers.replay import Playback, Player, Tape, tapes
from tests.helpers.sdk import on_both

pytestmark = [
    # An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning"),
]

ASKED: list[Any] = [{"role": "user", "content": "Say hello, please."}]


def streams(name: str, *apis: str) -> list[Tape]:
    return [each for each in tapes(SUBSET, name) if each.streamed and each.api in apis]


def player_of(tape: Tape) -> Player:
    player = Player()
    player.playing = Playback(tape)
    return player


def told(tape: Tape) -> str:
    return f"{tape.api}-{tape.id}"


def gathered(stream: Any, final: str) -> Any:
    """Give the kinds of all events, and the final answer or why there is none."""
    kinds = [event.type for event in stream]
    try:
        return kinds, getattr(stream, final)().model_dump(warnings=False)
    except (openai.OpenAIError, RuntimeError) as error:
        return kinds, repr(error)


@pytest.mark.parametrize("tape", streams("anthropic", "messages"), ids=told)
async def test_the_helper_of_messages_gathers_the_same(
    tape: Tape, origin: RawOrigin, proxy: Proxy
):
    def session(client: anthropic.Anthropic) -> Any:
        model = "claude-sonnet-4-5"
        with client.messages.stream(
            model=model, max_tokens=64, messages=ASKED
        ) as stream:
            return gathered(stream, "get_final_message")

    origin.handler = player_of(tape)
    kinds, message = await on_both("anthropic", session, origin, proxy)
    assert kinds[-1] == "message_stop"
    assert message["usage"]["output_tokens"] == tape.usage[-1]["output_tokens"]


@pytest.mark.parametrize("tape", streams("openai", "responses"), ids=told)
async def test_the_helper_of_responses_gathers_the_same(
    tape: Tape, origin: RawOrigin, proxy: Proxy
):
    def session(client: openai.OpenAI) -> Any:
        with client.responses.stream(model="gpt-4o", input="Hello.") as stream:
            return gathered(stream, "get_final_response")

    origin.handler = player_of(tape)
    kinds, _ = await on_both("openai", session, origin, proxy)
    assert kinds[-1] in ("response.completed", "response.incomplete")


@pytest.mark.parametrize("tape", streams("openai", "chat"), ids=told)
async def test_the_helper_of_chat_completions_gathers_the_same(
    tape: Tape, origin: RawOrigin, proxy: Proxy
):
    options: Any = tape.asked.get("stream_options") or openai.NOT_GIVEN

    def session(client: openai.OpenAI) -> Any:
        with client.chat.completions.stream(
            model="gpt-4o", messages=ASKED, stream_options=options
        ) as stream:
            return gathered(stream, "get_final_completion")

    origin.handler = player_of(tape)
    kinds, _ = await on_both("openai", session, origin, proxy)
    assert "chunk" in kinds
