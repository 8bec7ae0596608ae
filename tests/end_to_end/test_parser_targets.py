"""Where a request may go, whatever its target or headers say: P06 and P07 of the parser checks."""

from collections.abc import AsyncIterator

import pytest

from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.wire import request


@pytest.fixture
async def evil() -> AsyncIterator[RawOrigin]:
    """A server that nobody configured."""
    async with RawOrigin() as evil:
        yield evil


TARGETS = {
    "absolute": "http://{evil}/t/x",
    "absolute-https": "https://{evil}/t/x",
    "absolute-with-userinfo": "http://user:secret@{evil}/t/x",
    "absolute-to-us": "http://proxy.test/t/x",
    "absolute-without-path": "http://{evil}",
    "double-slash": "//{evil}/x",
    "double-slash-route": "//{evil}/t/x",
    "triple-slash": "///{evil}/x",
    "backslash": "/\\{evil}/x",
    "double-slash-behind-route": "/t//{evil}/x",
    "backslash-behind-route": "/t/\\{evil}/x",
    "at-sign": "@{evil}/t/x",
    "at-sign-glued-to-route": "/t@{evil}/x",
    "at-sign-behind-route": "/t/@{evil}/x",
    "colon-behind-route": "/t:80@{evil}/x",
    "scheme-without-slashes": "http:{evil}/t/x",
    "scheme-with-one-slash": "http:/{evil}/t/x",
    "authority": "{evil}",
    "absolute-behind-route": "/t/http://{evil}/x",
    "encoded-slashes-behind-route": "/t%2F%2F{evil}/x",
    "dots-behind-route": "/t/../../{evil}/x",
    "fragment": "/t/x#@{evil}/",
    "fragment-glued-to-route": "/t#@{evil}/x",
    "query-glued-to-route": "/t?@{evil}/x",
    "tab": "/t/\t{evil}",
    "other-scheme": "file:///etc/passwd",
    "unix-socket": "http+unix://%2Fvar%2Frun%2Fdocker.sock/t/x",
    "star": "*",
    "empty-segment": "/",
}


@pytest.mark.parametrize("method", [b"GET", b"POST"], ids=bytes.decode)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
async def test_P06_no_target_reaches_anything_but_the_configured_origin(
    target: str, method: bytes, origin: RawOrigin, evil: RawOrigin, proxy: Proxy
) -> None:
    raw = target.format(evil=f"127.0.0.1:{evil.port}").encode()
    answer = await proxy.call(
        request(raw, method=method, body=b"" if method == b"POST" else None)
    )
    assert evil.connections == []
    if answer.status == 200:
        (seen,) = origin.requests
        assert raw.startswith(b"/t")
        assert seen.target.startswith(b"/")
        assert seen.target.lstrip(b"/") == raw.removeprefix(b"/t").lstrip(b"/")
        assert seen.all(b"host") == [b"127.0.0.1:%d" % origin.port]
    else:
        assert answer.status in {400, 404, 421}
        assert origin.connections == []


@pytest.mark.parametrize(
    "name", ["absolute", "absolute-with-userinfo", "absolute-to-us", "authority"]
)
async def test_P06_absolute_and_authority_forms_are_400_or_421(
    name: str, evil: RawOrigin, proxy: Proxy
) -> None:
    raw = TARGETS[name].format(evil=f"127.0.0.1:{evil.port}").encode()
    assert (await proxy.call(request(raw))).status in {400, 421}


@pytest.mark.parametrize(
    "header",
    [
        b"X-Forwarded-Host",
        b"X-Original-URL",
        b"X-Rewrite-URL",
        b"Forwarded",
        b"X-Host",
        b"X-Tacho-Url",
        b"Base-Url",
    ],
    ids=bytes.decode,
)
async def test_P06_no_header_names_the_upstream(
    header: bytes, origin: RawOrigin, evil: RawOrigin, proxy: Proxy
) -> None:
    authority = b"127.0.0.1:%d" % evil.port
    raw = request(b"/t/x", (header, b"http://" + authority)).replace(
        b"Host: proxy.test", b"Host: " + authority
    )
    assert (await proxy.call(raw)).status == 200
    assert evil.connections == []
    assert [seen.target for seen in origin.requests] == [b"/x"]


METHODS = {
    "connect-authority": (
        b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n",
        {405},
    ),
    "connect-route": (b"CONNECT /t/x HTTP/1.1\r\nHost: a\r\n\r\n", {400, 405}),
    "options-star": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", {400, 405}),
    "trace": (b"TRACE /t/x HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n", {405}),
    "trace-star": (b"TRACE * HTTP/1.1\r\nHost: a\r\n\r\n", {400, 405}),
}


@pytest.mark.parametrize(("raw", "statuses"), METHODS.values(), ids=METHODS.keys())
async def test_P07_connect_trace_and_options_star_are_refused(
    raw: bytes, statuses: set[int], origin: RawOrigin, proxy: Proxy
) -> None:
    async with await proxy.connect() as client:
        answer = await client.call(raw)
        assert answer.status in statuses
        assert b"secret" not in client.raw
    assert origin.connections == []
