"""Promise 1, the request target: H06 and H07 of the HTTP fidelity checks."""

from pathlib import Path

import pytest

from proxy.config import RouteSettings
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.wire import request

TARGETS = [
    b"/v1/a%2Fb//c/../d;x?a=1&a=2;b=%zz&c=",
    b"/",
    b"/x?",
    b"/x?a=1&a=2;b=3",
    b"/x?a=%zz",
    b"/%7Euser/%e2%82%ac/%2e%2e/./x",
    b"/a/../../b",
    b"//double//slash//",
    b"/x?u=http://example.test/y?z",
    b"/models/gemini:generateContent?alt=sse",
    b"/a+b%20c/!$&'()*,=:@~",
    b"/x?q=[1]{2}|3^4`",
    b"/x?" + b"&".join(b"p%d=%d" % (i, i) for i in range(800)),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:40].decode())
async def test_H06_the_request_target_arrives_byte_for_byte(
    target: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    assert (await proxy.call(request(b"/t" + target))).status == 200
    assert [seen.target for seen in origin.requests] == [target]


async def test_H06_the_run_prefix_is_taken_off_and_the_rest_is_untouched(
    origin: RawOrigin, proxy: Proxy
) -> None:
    target = b"/tenant/acme/agent/bot/run/r-1/t/run/a%2Fb//c?run=2"
    assert (await proxy.call(request(target))).status == 200
    assert [seen.target for seen in origin.requests] == [b"/run/a%2Fb//c?run=2"]


JOINS = {
    "no-path": ("", b"/b", b"/b"),
    "root": ("/", b"/b", b"/b"),
    "path": ("/a", b"/b", b"/a/b"),
    "path-with-slash": ("/a/", b"/b", b"/a/b"),
    "encoded-slash-in-base": ("/a%2Fz/", b"/b%2Fc", b"/a%2Fz/b%2Fc"),
    "deep": ("/a/b/c", b"/d/", b"/a/b/c/d/"),
    "own-double-slash-kept": ("/a", b"/b//c", b"/a/b//c"),
    "query-in-base": ("/a?key=1", b"/b", b"/a/b?key=1"),
    "query-in-both": ("/a/?key=1", b"/b?x=2&x=3", b"/a/b?key=1&x=2&x=3"),
}


@pytest.mark.parametrize(("base", "path", "joined"), JOINS.values(), ids=JOINS.keys())
async def test_H07_base_path_and_query_join_with_exactly_one_slash(
    base: str, path: bytes, joined: bytes, origin: RawOrigin, data_dir: Path
) -> None:
    route = RouteSettings(url=origin.url + base, kind="tool")
    async with running(
        settings_for(data_dir, origin, routes={"based": route})
    ) as proxy:
        assert (await proxy.call(request(b"/based" + path))).status == 200
    assert [seen.target for seen in origin.requests] == [joined]
