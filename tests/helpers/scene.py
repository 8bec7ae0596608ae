"""A few calls of SDKs and others through the whole product, for tests that ask what became of them.

What lives here: the calls, and the rows that they have become. What does not: what must be true of the rows
(`tests/end_to_end/test_rows_*.py`).
"""

import http.client
import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.helpers.installation import await_that
from tests.helpers.recordings import NAMES, SUBSET
from tests.helpers.replay import Playback, Player, Tape, tapes
from tests.helpers.sdk import arguments, client_for, method_for, refusal
from tests.helpers.stack import Stack, running_stack
from tests.helpers.wire import response

ITERATIONS = [
    {"type": "message", "input_tokens": 100, "output_tokens": 50},
    {
        "type": "advisor_message",
        "model": "claude-opus-4-5",
        "input_tokens": 400,
        "output_tokens": 70,
    },
]
CLAUDE = "claude-sonnet-4-5"


@dataclass
class Scene:
    """The calls that were made, and the product that they went through."""

    stack: Stack
    player: Player
    chat: Tape
    responses: Tape
    messages: Tape
    visible_seconds: float = 0.0
    """From the end of the first answer to its row."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """As `tacho sql` showed them when all calls were made."""

    def of_run(self, run: str, part: int = 0) -> list[dict[str, Any]]:
        return [row for row in self.rows if (row["run_id"], row["part"]) == (run, part)]

    def attempts(self) -> int:
        """Count the attempts that are rows by now."""
        counted = "SELECT count() AS n FROM steps WHERE part = 0"
        return int(self.stack.product.rows(counted)[0]["n"])


def _tape(name: str, api: str, streamed: bool, header: bytes) -> Tape:
    return next(
        tape
        for tape in tapes(SUBSET, name)
        if (tape.api, tape.streamed) == (api, streamed)
        and tape.usage
        and tape.asked.get("model")
        and any(each.lower() == header for each, _ in tape.headers)
    )


@contextmanager
def playing(place: Path) -> Iterator[Scene]:
    """Run the product, make the calls, and wait until all of them are rows."""
    player = Player()
    exporters = {
        "clickhouse": {"url": "embedded"},
        "jsonl": {"directory": str(place / "jsonl")},
    }
    providers = {tape.recording.route for tape in tapes(SUBSET, *NAMES)}
    # All providers' models in one process are more series than the default allows; the rest would be counted as `other`.
    limits = {"max_series": 50_000}
    with running_stack(
        place,
        player,
        exporters=exporters,
        env="tests",
        limits=limits,
        providers=sorted(providers),
    ) as stack:
        scene = Scene(
            stack,
            player,
            chat=_tape("openai", "chat", False, b"x-ratelimit-limit-tokens"),
            responses=_tape("openai", "responses", True, b"x-request-id"),
            messages=_tape(
                "anthropic", "messages", True, b"anthropic-ratelimit-tokens-limit"
            ),
        )
        with warnings.catch_warnings():
            # Recorded models grow old.
            warnings.filterwarnings("ignore", "The model .* is deprecated")
            scene.visible_seconds = _first_call(scene)
            calls = 1 + _other_calls(scene)
        await_that(lambda: scene.attempts() >= calls, f"{calls} rows")
        scene.rows = stack.sql("SELECT * FROM steps ORDER BY ts, attempt_id, part")
        assert scene.attempts() == calls
        yield scene


def _first_call(scene: Scene) -> float:
    """Make one call, and measure how long it takes to become a row."""
    _call(
        scene.stack.url("openai", "/agent/booker/run/R1"),
        "openai",
        scene.chat,
        scene.player,
    )
    ended = time.monotonic()
    await_that(lambda: scene.attempts() == 1, "the first row")
    return time.monotonic() - ended


def _other_calls(scene: Scene) -> int:
    stack, player = scene.stack, scene.player
    named = {
        "x-tacho-run": "R2",
        "x-tacho-step-name": "look up",
        "x-tacho-session": "S1",
        "x-tacho-tag-team": "blue",
    }
    _call(
        stack.url("openai", "/agent/booker/run/R1"), "openai", scene.responses, player
    )
    _call(stack.url("anthropic"), "anthropic", scene.messages, player, named)
    player.script = [
        _advised(),
        refusal("openai", 429),
        refusal("openai", 429),
        refusal("openai", 401),
    ]
    with client_for("anthropic", stack.url("anthropic", "/run/R3")) as claude:
        assert isinstance(claude, anthropic.Anthropic)
        claude.messages.create(
            model=CLAUDE, max_tokens=9, messages=[{"role": "user", "content": "Hello."}]
        )
    with client_for("openai", stack.url("openai", "/run/R4"), max_retries=1) as client:
        assert isinstance(client, openai.OpenAI)
        for error in (openai.RateLimitError, openai.AuthenticationError):
            with pytest.raises(error):
                client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "Hello."}]
                )
    player.script = [response(b"[]", (b"content-type", b"application/json"))]
    assert _get(stack, "/run/R5/tool/search?q=1") == 200
    assert _get(stack, "/nowhere/v1/x") == 404
    return 8


def _call(
    url: str,
    name: str,
    tape: Tape,
    player: Player,
    headers: dict[str, str] | None = None,
) -> None:
    player.playing = Playback(tape)
    with client_for(name, url) as client:
        method = method_for(client, tape)
        result = method(**arguments(method, tape), extra_headers=headers)
        if tape.streamed:
            assert list(result)


def _advised() -> bytes:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 50, "iterations": ITERATIONS},
    }
    return response(json.dumps(body).encode(), (b"content-type", b"application/json"))


def _get(stack: Stack, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", stack.product.port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
