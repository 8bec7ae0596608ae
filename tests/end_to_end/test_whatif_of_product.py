"""`tacho whatif` beside the whole product, running and stopped: the calls of real rows, and runs that were reported."""

import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.installation import tacho
from tests.helpers.origin import always
from tests.helpers.stack import Stack, running_stack
from tests.helpers.wire import response

pytestmark = [pytest.mark.big, pytest.mark.timeout(180)]

ANSWER = {
    "id": "c1", "object": "chat.completion", "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000},
}  # fmt: skip
"""Of gpt-4o: 0.0125 dollars."""


def post(stack: Stack, path: str, body: dict[str, Any]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", stack.product.port, timeout=20)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def whatif(stack: Stack, *words: str) -> dict[str, Any]:
    said = tacho(stack.product.config, "whatif", "--json", *words)
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def test_the_product_answers_running_and_stopped(tmp_path: Path):
    made = {"good-1": 5, "short-1": 2}
    answer = response(json.dumps(ANSWER).encode(), (b"Content-Type", b"application/json"))  # fmt: skip
    with running_stack(tmp_path, always(answer)) as stack:
        for run, count in made.items():
            for number in range(count):
                body = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"Ask {number}."}]}  # fmt: skip
                path = f"/agent/booker/run/{run}/openai/v1/chat/completions"
                assert post(stack, path, body) == 200
            assert post(stack, f"/run/{run}/outcome", {"outcome": "success"}) == 202
        deadline = time.monotonic() + 60
        while (found := whatif(stack, "--caps", "steps=3"))["calls"]["calls"] < 7 or found["successes"] < 2:  # fmt: skip
            assert time.monotonic() < deadline
            time.sleep(0.2)
        (stopped,) = found["stopped"]
        assert (stopped["run"], stopped["agent"], stopped["outcome"], stopped["step"]) == ("good-1", "booker", "success", 4)  # fmt: skip
        assert (stopped["spent"]["usd"], stopped["saved"]["usd"]) == (0.0375, 0.025)
        assert (found["runs"], found["successes_stopped"]) == (2, 1)
        of_run = whatif(stack, "--run", "short", "--caps", "steps=1")
        assert [each["run"] for each in of_run["stopped"]] == ["short-1"]
        refused = tacho(stack.product.config, "whatif", "--caps", "steps=-1")
        assert (refused.returncode, "policies.caps.steps" in refused.stderr) == (2, True)  # fmt: skip
        assert stack.product.stop() == 0
        again = whatif(stack, "--caps", "steps=3")
        assert again["stopped"] == found["stopped"]
        stack.product.start()
