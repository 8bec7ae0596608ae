"""The start banner says what to do next."""

import pytest

from proxy.supervise.banner import Banner, stopping

WHOLE = Banner(
    version="1.2",
    data_dir="/var/lib/tacho",
    proxy_url="http://127.0.0.1:4141",
    routes=("anthropic", "openai", "search"),
    admin_url="http://127.0.0.1:4142",
    store_url="http://127.0.0.1:4143",
    admin_token_needed=True,
)


def test_it_gives_base_urls_addresses_and_the_next_step():
    lines = [line.strip() for line in WHOLE.text(terminal=False).splitlines() if line]
    assert lines == [
        "tachograph 1.2 is running",
        "Give your agent one of these, and change nothing else:",
        "OPENAI_BASE_URL=http://127.0.0.1:4141/openai/v1",
        "ANTHROPIC_BASE_URL=http://127.0.0.1:4141/anthropic",
        "http://127.0.0.1:4141/search",
        "metrics  http://127.0.0.1:4142/metrics (token required)",
        "store    http://127.0.0.1:4143 (ClickHouse over HTTP; token in /var/lib/tacho/read_token)",
        "data     /var/lib/tacho",
        "next     make a call, then: tacho runs",
        "stop     Ctrl-C",
    ]


def test_the_other_built_in_routes_share_lines_that_fit_a_terminal():
    banner = Banner("1", "/d", "http://h", providers=("openai", "groq", "xai"))
    assert "    http://h/PROVIDER/... for groq, xai\n" in banner.text(terminal=False)
    names = [f"some-provider-{number}" for number in range(30)]
    text = Banner("1", "/d", "http://h", providers=names).text(terminal=False)
    listed = text.partition("... for ")[2].partition("\n\n")[0]
    assert listed.replace("\n    ", " ").split(", ") == names
    assert max(map(len, listed.splitlines())) <= 80


def test_colours_are_for_terminals():
    assert "\x1b[" in WHOLE.text(terminal=True)
    assert "\x1b" not in WHOLE.text(terminal=False)


def test_the_exporter_half_has_no_base_urls():
    text = Banner(version="1", data_dir="/d", admin_url="http://127.0.0.1:4142").text(
        terminal=False
    )
    assert "BASE_URL" not in text
    assert "next     tacho status" in text


def test_advice_is_what_leads_to_the_same_data():
    banner = Banner("1", "/d", "http://h", store_url="http://s", command=".venv/bin/tacho", options=" --config t.yaml")  # fmt: skip
    assert "make a call, then: .venv/bin/tacho runs --config t.yaml\n" in banner.text(terminal=False)  # fmt: skip


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        (0, "  stopping: no call is under way"),
        (1, "  stopping: 1 call has up to 30 s to end; Ctrl-C once more ends it now"),
        (1200, "  stopping: 1,200 calls have up to 30 s to end; Ctrl-C once more ends them now"),
    ],
)  # fmt: skip
def test_a_stop_says_what_it_waits_for(calls: int, said: str):
    assert stopping(calls, 30.0) == said
