"""What an agent is told of a request that is refused at the door, or that failed before its answer."""

import json

import pytest

from proxy.denials import status_of
from proxy.forward.watch import Ending
from proxy.model import ErrorType, Outcome
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (Ending(Outcome.CLIENT_ABORT, ErrorType.BODY_TIMEOUT), 408),
        (Ending(Outcome.BLOCKED, ErrorType.INVALID_REQUEST), 400),
        (Ending(Outcome.BLOCKED, ErrorType.TOO_LARGE), 413),
        (Ending(Outcome.PROXY_ERROR, ErrorType.DRAINING), 503),
        (Ending(Outcome.PROXY_ERROR, ErrorType.INTERNAL), 500),
        (Ending(Outcome.TIMEOUT, ErrorType.CONNECT_TIMEOUT), 504),
        (Ending(Outcome.UPSTREAM_ERROR, ErrorType.DNS), 502),
    ],
)
def test_a_call_that_failed_unanswered_has_a_status(ending: Ending, status: int):
    assert status_of(ending) == status


HEADS = {
    "bad_version": (b"GET /t/x HTTP/0.9\r\nHost: x\r\n\r\n", 400),
    "bad_framing": (
        b"POST /t/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "bad_host": (b"GET /t/x HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "head_too_large": (
        b"GET /t/x HTTP/1.1\r\nHost: x\r\n"
        + b"A: %b\r\n" % (b"x" * 8000) * 12
        + b"\r\n",
        431,
    ),
}


@pytest.mark.parametrize(
    ("code", "head", "status"),
    [(code, *case) for code, case in HEADS.items()],
    ids=HEADS.keys(),
)
async def test_a_head_that_two_servers_could_read_differently_is_refused(
    code: str, head: bytes, status: int, origin: RawOrigin, proxy: Proxy
):
    answer = await proxy.call(head)
    assert answer.status == status
    assert json.loads(answer.body)["error"]["code"] == code
    assert origin.connections == []
    assert (await proxy.only()).end.outcome == "blocked"
