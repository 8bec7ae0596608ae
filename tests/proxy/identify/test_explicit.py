import pytest

from proxy.http.headers import Headers
from proxy.identify.explicit import MAX_TAGS, Explicit, read_explicit


def read(*headers, **named) -> Explicit:
    return read_explicit(Headers(list(headers)), **named)


def test_headers_name_everything():
    explicit = read(
        (b"X-Tacho-Run", b"r:1"),
        (b"x-tacho-session", b"s"),
        (b"x-tacho-tenant", b"t"),
        (b"x-tacho-agent", "Späher 1".encode()),
        (b"x-tacho-agent-version", b"2.0 (b)"),
        (b"x-tacho-step-name", b"plan the trip"),
        (b"x-tacho-tag-Team", b"red"),
    )
    assert explicit == Explicit(
        "r:1",
        "s",
        "t",
        "Späher 1",
        "header",
        "2.0 (b)",
        "plan the trip",
        {"team": "red"},
        ignored=0,
    )


def test_nothing_given_is_nothing_named():
    assert read() == Explicit()


def test_the_path_wins_over_headers():
    headers = [
        (b"x-tacho-run", b"h"),
        (b"x-tacho-agent", b"h"),
        (b"x-tacho-tenant", b"h"),
    ]
    explicit = read(*headers, tenant="p", agent="p", run="p")
    assert (explicit.tenant, explicit.agent, explicit.agent_source, explicit.run) == (
        "p",
        "p",
        "path",
        "p",
    )


@pytest.mark.parametrize(
    "header",
    [
        (b"x-tacho-run", b""),
        (b"x-tacho-run", b"a b"),
        (b"x-tacho-run", b"x" * 129),
        (b"x-tacho-run", b"'; DROP TABLE steps"),
        (b"x-tacho-session", b"a\n"[:1] + b"/"),
        (b"x-tacho-tenant", b"\xff"),
        (b"x-tacho-agent", b"\x1b[31m"),
        (b"x-tacho-agent", "a\u2028b".encode()),
        (b"x-tacho-agent", "a\u202eb".encode()),
        (b"x-tacho-agent-version", b"x" * 129),
        (b"x-tacho-step-name", b"\xff"),
        (b"x-tacho-tag-a", b""),
        (b"x-tacho-tag-a", b"\xff"),
        (b"x-tacho-tag-", b"v"),
        (b"x-tacho-tag-a_b!", b"v"),
    ],
)
def test_a08_what_is_not_valid_is_left_out_and_counted(header):
    assert read(header) == Explicit(ignored=1)


def test_a_header_that_stands_twice_names_nothing():
    assert read((b"x-tacho-run", b"a"), (b"x-tacho-run", b"b")) == Explicit(ignored=1)


def test_tags_are_capped():
    explicit = read(*((b"x-tacho-tag-k%d" % n, b"v") for n in range(MAX_TAGS + 3)))
    assert len(explicit.tags) == MAX_TAGS
    assert explicit.ignored == 3
