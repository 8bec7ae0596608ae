"""Every coding, in every slicing, within its limit."""

import gzip
import itertools
import resource
import sys
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.decode import MAX_STACK, Inflater

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PLAIN = b'data: {"choices":[]}\n\n' * 40
LIMIT = 1 << 20
SKIPPABLE = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"


def raw_deflate(data):
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


CODED = {
    "gzip": gzip.compress(PLAIN),
    "x-gzip": gzip.compress(PLAIN),
    "GZip": gzip.compress(PLAIN),
    "deflate": zlib.compress(PLAIN),
    " Deflate ": raw_deflate(PLAIN),
    "br": brotli.compress(PLAIN),
    "zstd": zstd.compress(PLAIN),
    "identity": PLAIN,
    "": PLAIN,
    "gzip, br": brotli.compress(gzip.compress(PLAIN)),
    "identity,zstd , gzip": gzip.compress(zstd.compress(PLAIN)),
}


def inflate(encoding, data, size=1 << 20, limit=LIMIT):
    inflater = Inflater(encoding, limit)
    out = b"".join(
        inflater.feed(data[at : at + size]) for at in range(0, len(data), size)
    )
    return out, inflater


def bomb(encoding):
    """A gigabyte of zeros: a block of a megabyte, coded once and repeated."""
    zeros = bytes(1 << 20)
    if encoding == "zstd":
        return zstd.compress(zeros) * 1024
    if encoding == "br":
        coder = brotli.Compressor(quality=0)
        return b"".join(coder.process(zeros) for _ in range(1024)) + coder.finish()
    coder = zlib.compressobj(9, wbits=31)
    head = coder.compress(zeros) + coder.flush(zlib.Z_FULL_FLUSH)
    return head + (coder.compress(zeros) + coder.flush(zlib.Z_FULL_FLUSH)) * 1023


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("encoding", CODED)
def test_any_coding_in_any_slices_gives_the_plain_bytes(encoding, size):
    out, inflater = inflate(encoding, CODED[encoding], size)
    assert out == PLAIN
    assert not any((inflater.exceeded, inflater.failed, inflater.unsupported))


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_several_gzip_members_are_one_body_and_what_follows_them_is_ignored(size):
    out, inflater = inflate(
        "gzip", gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0", size
    )
    assert out == b"one two"
    assert not inflater.failed


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_several_zstd_frames_and_skippable_ones_are_one_body(size):
    data = (
        SKIPPABLE
        + zstd.compress(b"one ")
        + SKIPPABLE
        + SKIPPABLE
        + zstd.compress(b"two")
        + SKIPPABLE
    )
    out, inflater = inflate("zstd", data, size)
    assert out == b"one two"
    assert not inflater.failed


@pytest.mark.parametrize("encoding", ["br", "deflate"])
def test_bytes_after_the_end_of_a_single_stream_are_ignored(encoding):
    out, inflater = inflate(encoding, CODED[encoding], 1)
    inflater.feed(b"")
    assert (out + inflater.feed(b"trailing"), inflater.failed) == (PLAIN, False)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_each_flushed_event_comes_out_with_its_chunk(encoding):
    coders = {
        "gzip": (lambda c: lambda d: c.compress(d) + c.flush(zlib.Z_SYNC_FLUSH))(
            zlib.compressobj(wbits=31)
        ),
        "deflate": (lambda c: lambda d: c.compress(d) + c.flush(zlib.Z_SYNC_FLUSH))(
            zlib.compressobj()
        ),
        "br": (lambda c: lambda d: c.process(d) + c.flush())(brotli.Compressor()),
        "zstd": (lambda c: lambda d: c.compress(d, c.FLUSH_BLOCK))(
            zstd.ZstdCompressor()
        ),
    }
    inflater = Inflater(encoding, LIMIT)
    events = [b"data: %d\n\n" % number for number in range(20)]
    assert [inflater.feed(coders[encoding](event)) for event in events] == events


@pytest.mark.parametrize("length", [65535, 65536, 65537, 131072])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw", "br", "zstd"])
def test_nothing_is_left_inside_when_a_piece_is_exactly_full(encoding, length):
    plain = b"a" * length
    coded = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "raw": raw_deflate,
        "br": brotli.compress,
        "zstd": zstd.compress,
    }[encoding](plain)
    assert inflate(encoding.replace("raw", "deflate"), coded)[0] == plain


@pytest.mark.parametrize("encoding", CODED)
def test_output_stops_at_the_limit_and_says_so(encoding):
    out, inflater = inflate(encoding, CODED[encoding], 50, limit=100)
    assert out == PLAIN[:100]
    assert inflater.exceeded
    assert inflater.feed(b"more") == b""


@pytest.mark.parametrize("encoding", CODED)
def test_a_body_of_exactly_the_limit_does_not_exceed_it(encoding):
    out, inflater = inflate(encoding, CODED[encoding], 50, limit=len(PLAIN))
    assert out == PLAIN
    assert not inflater.exceeded


@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "br", "zstd", "gzip, br", "br, gzip"]
)
def test_garbage_sets_failed_and_never_raises(encoding):
    out, inflater = inflate(encoding, b"\xff\xfe\x00 this is not compressed" * 20)
    assert out == b""
    assert inflater.failed
    assert inflater.feed(b"more") == b""


def test_what_came_before_the_damage_is_kept():
    out, inflater = inflate(
        "gzip", gzip.compress(PLAIN) + b"\x1f\x8b\xff\xff" + b"x" * 20, 10
    )
    assert out == PLAIN
    assert inflater.failed


@pytest.mark.parametrize(
    "encoding", ["compress", "gzip, aes128gcm", ", ".join(["gzip"] * (MAX_STACK + 1))]
)
def test_an_unknown_coding_or_too_tall_a_stack_gives_nothing(encoding):
    out, inflater = inflate(encoding, CODED["gzip"])
    assert out == b""
    assert inflater.unsupported


def test_a_zstd_window_beyond_what_the_rfc_allows_is_refused():
    data = zstd.compress(
        bytes(1 << 20), options={zstd.CompressionParameter.window_log: 27}
    )
    frame_without_size = zstd.ZstdCompressor(
        options={zstd.CompressionParameter.window_log: 27}
    )
    streamed = frame_without_size.compress(bytes(1 << 20)) + frame_without_size.flush()
    assert inflate("zstd", data, limit=2 << 20)[0] == bytes(1 << 20)
    assert inflate("zstd", streamed)[1].failed


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, gzip"])
def test_a_bomb_of_a_gigabyte_costs_less_than_32_megabytes(encoding):
    data = bomb(encoding.split(",")[0])
    if encoding == "gzip, gzip":
        data = gzip.compress(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out, inflater = inflate(encoding, data, len(data), limit=8 << 20)
    assert len(out) == 8 << 20
    assert inflater.exceeded
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


def test_an_inner_layer_cannot_grow_beyond_the_limit_unseen():
    inner = b"".join(itertools.repeat(gzip.compress(b""), 2000))
    out, inflater = inflate("gzip, br", brotli.compress(inner), limit=1000)
    assert out == b""
    assert inflater.exceeded


@given(
    st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, zstd"]),
    st.binary(max_size=300),
    st.integers(1, 40),
)
def test_random_bytes_never_raise(encoding, data, size):
    inflate(encoding, data, size, limit=500)


@given(
    st.sampled_from(sorted(CODED)),
    st.integers(0, 400),
    st.integers(1, 255),
    st.integers(1, 60),
)
def test_flipped_bits_never_raise(encoding, at, flip, size):
    data = bytearray(CODED[encoding])
    data[at % len(data)] ^= flip
    inflate(encoding, bytes(data), size, limit=2000)
