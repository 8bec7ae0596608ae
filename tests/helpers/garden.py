"""Raw requests on which servers have disagreed, with the verdict that this proxy must give.

What lives here: payloads of our own after the ideas of the HTTP Garden's list of trophies (bugs of servers first, then of
transducers), in its order. What does not: the test that sends them.

`REFUSED` is 400 and nothing at the origin. `Served` says which targets the origin sees, and nothing else: bytes behind
a request are either the next request or refused, never a request that was hidden in another one. `SMUGGLED` marks the
hidden ones.
"""

from dataclasses import dataclass

SMUGGLED = b"/t/smuggled"
GET = b"GET /t/x HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /t/x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /t/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
NEXT = b"GET /t/next HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True)
class Served:
    """The request is harmless: the origin sees these targets, in this order."""

    targets: tuple[bytes, ...] = (b"/x",)
    body: bytes | None = None
    """What the first of them carries, where that is the point."""


REFUSED = None
Verdict = Served | None

PAYLOADS: dict[str, tuple[bytes, Verdict]] = {
    # Servers
    "s01-chunk-size-underscore": (
        CHUNKED + b"0_2e\r\n\r\n" + HIDDEN + b"0\r\n\r\n",
        REFUSED,
    ),
    "s02-nul-and-cr-in-value": (GET + b"Header: v\x00\ralue\r\n\r\n", REFUSED),
    "s03-space-before-colon": (GET + b"Content-Length : 37\r\n\r\n" + HIDDEN, REFUSED),
    "s04-tab-before-first-name": (
        b"GET /t/x HTTP/1.1\r\n\tHost: a\r\nContent-Length: 1\r\n\r\nX",
        REFUSED,
    ),
    "s05-version-1.32": (b"GET /t/x HTTP/1.32\r\nHost: a\r\n\r\n", REFUSED),
    "s06-method-with-delimiters": (
        b'G=":<>(e),[T];?" /t/x HTTP/1.1\r\nHost: a\r\n\r\n',
        REFUSED,
    ),
    "s07-target-without-slash": (b"GET ! HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    "s08-non-ascii-name": (GET + b"\xefoo: bar\r\n\r\n", REFUSED),
    "s09-lf-inside-request-line": (b"GET /t/x\nHTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    "s10-length-plus-and-underscore": (
        GET + b"Content-Length: +1_0\r\n\r\n0123456789",
        REFUSED,
    ),
    "s11-chunked-twice": (
        POST
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\n\r\n",
        REFUSED,
    ),
    "s12-coding-in-obs-text": (
        POST + b"Transfer-Encoding: \xa0chunked\xa0\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "s13-cr-ends-a-field": (GET + b"Visible: :/\rSmuggled: :)\r\n\r\n", REFUSED),
    "s14-control-bytes-in-name": (
        GET + bytes(range(1, 9)) + b'"(),/;<=>?@[/]{}: whatever\r\n\r\n',
        REFUSED,
    ),
    "s15-cr-inside-version": (b"GET /t/x HTTP/\r\r1.1\r\nHost: a\r\n\r\n", REFUSED),
    "s16-empty-length": (GET + b"Content-Length: \r\n\r\n", REFUSED),
    "s17-empty-chunk-size": (CHUNKED + b"\r\n\r\n", REFUSED),
    "s18-empty-name": (b"GET /t/x HTTP/1.1\r\n: ignored\r\nHost: a\r\n\r\n", REFUSED),
    "s19-lf-lf-in-value": (GET + b"Useless:\n\n" + HIDDEN, REFUSED),
    "s20-obs-text-before-colon-85": (
        GET + b"Content-Length\x85: 10\r\n\r\n0123456789",
        REFUSED,
    ),
    "s20-obs-text-before-colon-a0": (
        GET + b"Content-Length\xa0: 10\r\n\r\n0123456789",
        REFUSED,
    ),
    "s21-comma-chunked-and-length": (
        POST + b"Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "s22-chunk-size-prefix-0_": (CHUNKED + b"0_2e\r\n\r\n" + HIDDEN, REFUSED),
    "s23-two-lengths-first-longer": (
        GET + b"Content-Length: 1\r\nContent-Length: 0\r\n\r\nZ",
        REFUSED,
    ),
    "s24-version-overflow": (
        b"GET /t/x HTTP/4294967295.255\r\nHost: a\r\n\r\n",
        REFUSED,
    ),
    "s25-chunk-size-0x": (CHUNKED + b"0x1\r\nZ\r\n0\r\n\r\n", REFUSED),
    "s25-chunk-size-plus": (CHUNKED + b"+1\r\nZ\r\n0\r\n\r\n", REFUSED),
    "s25-chunk-size-minus": (CHUNKED + b"-1\r\nZ\r\n0\r\n\r\n", REFUSED),
    "s26-negative-length": (GET + b"Content-Length: -48\r\n\r\n", REFUSED),
    "s27-colon-alone": (GET + b":\r\nI: am chopped off\r\n\r\n", REFUSED),
    "s28-no-colon": (GET + b"Content-Length 10\r\n\r\n0123456789", REFUSED),
    "s29-length-with-suffix": (GET + b"Content-Length: 1Z\r\n\r\nZ", REFUSED),
    "s30-cr-begins-a-field": (
        GET + b"\rZGET /t/smuggled: HTTP/1.1\r\nHost: a\r\n\r\n",
        REFUSED,
    ),
    "s31-cr-before-chunk-extension": (
        CHUNKED + b"5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n" + HIDDEN,
        REFUSED,
    ),
    "s32-length-010-is-ten": (
        POST + b"Content-Length: 010\r\n\r\n0123456789" + NEXT,
        Served((b"/x", b"/next"), b"0123456789"),
    ),
    "s33-two-lengths-last-longer": (
        GET + b"Content-Length: 0\r\nContent-Length: 1\r\n\r\nZ",
        REFUSED,
    ),
    "s34-cr-in-value": (GET + b"Header: va\rlue\r\n\r\n", REFUSED),
    "s35-nul-in-value": (
        GET + b"Test: test\x00THESE BYTES GET DROPPED\r\nConnection: close\r\n\r\n",
        REFUSED,
    ),
    "s36-cr-cr-in-chunk-extension": (
        CHUNKED + b"29;a=b\r\r" + b"X" * 41 + b"\r\n0\r\n\r\n" + HIDDEN + b"0\r\n\r\n",
        REFUSED,
    ),
    "s37-name-continued": (
        POST + b"Transfer-\r\nEncoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "s38-empty-length-and-body": (GET + b"Content-Length: \r\n\r\n" + HIDDEN, REFUSED),
    "s39-trailer-that-looks-like-a-request": (
        # Served, but its connection is closed: aiohttp would make a trailer the next request's first header.
        CHUNKED + b"0\r\nX:POST / HTTP/1.1\r\n\r\n" + NEXT,
        Served(body=b""),
    ),
    "s40-nul-as-method": (b"\x00 /t/x HTTP/............0596.7407.\r\n\r\n", REFUSED),
    "s41-obs-text-around-value": (GET + b"User: \x85admin\xa0\r\n\r\n", Served()),
    "s42-empty-length-then-length": (
        GET
        + b"Content-Length: \r\nContent-Length: 43\r\n\r\nPOST /t/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        REFUSED,
    ),
    "s43-nul-ends-a-value": (GET + b"Evil: evil\x00\r\n\r\n", REFUSED),
    "s44-unknown-coding": (
        POST + b"Transfer-Encoding: blegh\r\n\r\n1\r\nZ\r\n0\r\n\r\n",
        REFUSED,
    ),
    "s45-garbage-after-close": (
        GET + b"Connection: close\r\n\r\nInvalid\r\n\r\n",
        REFUSED,
    ),  # with its packet
    "s46-coding-in-ff": (
        POST + b"Transfer-Encoding: \xffchunked\xff\r\n\r\n1\r\nZ\r\n0\r\n\r\n",
        REFUSED,
    ),
    "s46-host-in-ff": (b"GET /t/x HTTP/1.1\r\nHost: \xffa\xff\r\n\r\n", Served()),
    "s47-invalid-chunk-then-request": (CHUNKED + b"INVALID!!!\r\n" + HIDDEN, REFUSED),
    "s48-pipelined-after-length-0": (
        POST + b"Content-Length: 0\r\nConnection:keep-alive\r\n\r\n" + NEXT + NEXT,
        Served((b"/x", b"/next", b"/next"), b""),
    ),
    # Transducers
    "t01-length-0x10": (POST + b"Content-Length: 0x10\r\n\r\nZ", REFUSED),
    "t02-chunk-size-letters": (CHUNKED + b"Z\r\nZZ\r\nZZZ\r\n\r\n", REFUSED),
    "t03-cr-before-extension-then-request": (
        CHUNKED + b"2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n" + HIDDEN,
        REFUSED,
    ),
    "t04-cr-after-chunk-size": (CHUNKED + b"1\r0\n", REFUSED),
    "t05-empty-length-lower-case": (GET + b"content-length: \r\n\r\n", REFUSED),
    "t06-byte-85-in-name": (GET + b"Header\x85: value\r\n\r\n", REFUSED),
    "t06-at-sign-in-name": (GET + b"Head@er: value\r\n\r\n", REFUSED),
    "t07-chunk-size-with-tail": (
        CHUNKED + b"1these-bytes-never-get-validated\r\nZ\r\n0\r\n\r\n",
        REFUSED,
    ),
    "t09-comma-chunked": (
        POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "t10-several-cr-in-value": (
        GET + b"Invalid-Header: this\rvalue\ris\rinvalid\r\n\r\n",
        REFUSED,
    ),
    "t11-empty-length-before-length": (
        GET + b"content-length: \r\ncontent-length: 37\r\n\r\n" + HIDDEN,
        REFUSED,
    ),
    "t12-nul-in-host": (
        b"GET /t/x HTTP/1.1\r\nHost: google.com\x00.example.test\r\n\r\n",
        REFUSED,
    ),
    "t13-lf-ends-a-chunk": (CHUNKED + b"a\r\n0123456789\n0\r\n\r\n", REFUSED),
    "t14-field-without-colon": (
        GET + b"Te\nst: test\r\nConnection: close\r\n\r\n",
        REFUSED,
    ),
    "t15-comma-chunked-length-close": (
        POST
        + b"Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\nConnection: close\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "t16-lf-line-ends": (b"GET /t/x HTTP/1.1\nHost: a\nConnection: close\n\n", REFUSED),
    "t17-chunk-that-holds-a-request": (
        CHUNKED + b"1d\r\n0\r\n\r\nGET /t/smuggled HTTP/1.1\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "t18-comma-chunked-and-length-on-get": (
        GET + b"Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "t19-chunk-size-minus-0x0": (CHUNKED + b"-0x0\r\n\r\n", REFUSED),
    "t20-nul-ends-a-name": (GET + b"a:b\r\nc\x00\r\n\r\n", REFUSED),
    "t21-body-on-get": (
        GET + b"Content-Length: 10\r\n\r\n1234567890" + NEXT,
        Served((b"/x", b"/next"), b"1234567890"),
    ),
    "t22-two-lengths-and-a-request": (
        POST + b"Content-Length: 0\r\nContent-Length: 37\r\n\r\n" + HIDDEN,
        REFUSED,
    ),
    "t23-length-and-chunked": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "t23-chunked-and-length": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    "t24-spaces-before-chunk-size": (CHUNKED + b"           0\r\n\r\n", REFUSED),
    "t25-chunked-twice-empty": (
        POST
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        REFUSED,
    ),
    # Found by the way
    "b03-nul-after-chunked": (CHUNKED + b"0\r\n\r\n\x00", REFUSED),  # with its packet
    "b04-plain-chunked": (CHUNKED + b"1\r\nZ\r\n0\r\n\r\n", Served(body=b"Z")),
    "h01-http-2-preface": (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        REFUSED,
    ),
    "h02-http-2-empty-name": (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00=\x01\x05\x00\x00\x00\x01\x00",
        REFUSED,
    ),
}
