"""ClickHouse's HTTP protocol in plain requests."""

import base64
import contextlib
import gzip
import http.client
import threading
import zlib
from pathlib import Path

import lz4.frame  # type: ignore[import-untyped, unused-ignore]
import msgspec
import pytest
import zstandard

from tests.helpers.store import StoreProcess, open_store


@pytest.mark.parametrize("target", ["/", "/ping"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_anybody_may_ask_whether_it_is_there(
    store: StoreProcess, method: str, target: str
) -> None:
    answer = store.request(method, target)
    assert (answer.status, answer.body) == (200, b"Ok.\n" if method == "GET" else b"")


def test_other_methods_and_paths_are_refused(store: StoreProcess) -> None:
    assert store.request("PUT", "/").status == 405
    assert store.request("GET", "/play").status == 404


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_a_wrong_token_gets_nothing_even_on_loopback(
    store: StoreProcess, token: str
) -> None:
    answer = store.ask("SELECT 1", token)
    assert (answer.status, answer.code) == (401, 516)
    assert "AUTHENTICATION_FAILED" in answer.text


def test_the_token_goes_in_any_of_the_usual_places(store: StoreProcess) -> None:
    token = store.read_token
    basic = base64.b64encode(f"default:{token}".encode()).decode()
    for headers in (
        {"Authorization": f"Basic {basic}"},
        {"Authorization": f"Bearer {token}"},
        {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": token},
    ):
        assert store.request("POST", "/", b"SELECT 1", headers).body == b"1\n"
    assert (
        store.request("GET", f"/?query=SELECT+1&user=x&password={token}").body == b"1\n"
    )


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
)
def test_pages_of_other_sites_are_refused(
    store: StoreProcess, headers: dict[str, str]
) -> None:
    given = {"X-ClickHouse-Key": store.read_token, **headers}
    assert store.request("POST", "/", b"SELECT 1", given).status == 403
    assert store.request("GET", "/ping", None, given).status == 403


def test_an_answer_names_format_query_timezone_and_summary(store: StoreProcess) -> None:
    answer = store.ask(
        "SELECT number FROM numbers(3) FORMAT JSONEachRow", query_id="mine"
    )
    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
    assert answer.headers["X-ClickHouse-Timezone"]
    assert answer.headers["X-ClickHouse-Server-Display-Name"]
    assert (
        msgspec.json.decode(answer.headers["X-ClickHouse-Summary"])["result_rows"]
        == "3"
    )


def test_the_default_format_holds_where_the_statement_names_none(
    store: StoreProcess,
) -> None:
    assert store.ask("SELECT 1 AS a", default_format="JSONEachRow").text == '{"a":1}\n'
    assert store.ask("SELECT 1 AS a FORMAT CSV", default_format="JSON").text == "1\n"


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELEC 1", 400, 62),
        ("SELECT nope", 404, 47),
        ("SELECT * FROM nope", 404, 60),
        ("SELECT nope()", 403, 497),
        ("SELECT {a:String}", 400, 456),
        ("SELECT 1 FORMAT Nope", 500, 73),
        ("", 400, 62),
        (b"SELECT '\xff'", 400, 36),
        ("SELECT throwIf(1)", 500, 395),
    ],
)
def test_errors_have_clickhouses_code_and_a_fitting_status(
    store: StoreProcess, statement: str | bytes, status: int, code: int
) -> None:
    answer = store.ask(statement)
    assert (answer.status, answer.code) == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


def test_a_failed_query_leaves_nothing_in_the_next_answer(store: StoreProcess) -> None:
    assert (
        store.ask("SELECT number, throwIf(number = 150000) FROM numbers(200000)").status
        == 500
    )
    for _ in range(8):
        assert store.ask("SELECT 7").text == "7\n"


def test_a_result_beyond_the_limit_is_an_error_and_not_half_a_result(
    store: StoreProcess,
) -> None:
    answer = store.ask(
        "SELECT number FROM numbers(1000000)", max_result_bytes="1000000"
    )
    assert (answer.status, answer.code) == (413, 396)
    grown = store.ask(
        "SELECT repeat('x', 1000000) FROM numbers(200)", max_result_bytes="0"
    )
    assert (grown.status, grown.code) == (413, 396)
    assert store.ask("SELECT repeat('x', 1000000) FROM numbers(4000)").code == 241


@pytest.mark.parametrize(
    "name",
    [
        "readonly'",
        "output_format_schema",
        "allow_introspection_functions",
        "nope",
        "x = 1, readonly",
    ],
)
def test_only_settings_on_the_list_can_be_changed(
    store: StoreProcess, name: str
) -> None:
    answer = store.ask("SELECT 1", **{name: "1"})
    assert (answer.status, answer.code) == (403, 164)


def test_what_a_setting_holds_stays_a_value(store: StoreProcess) -> None:
    answer = store.ask(
        "SELECT getSetting('log_comment')", log_comment="a', readonly = '0\n\\'"
    )
    assert answer.text == "a\\', readonly = \\'0\\n\\\\\\'\n"


def test_a_limit_of_the_client_holds_and_ours_cannot_be_lifted(
    store: StoreProcess,
) -> None:
    ask = "SELECT getSetting('max_execution_time')"
    assert store.ask(ask, max_execution_time="5").text == "5\n"
    assert store.ask(ask, max_execution_time="0").text == "60\n"
    assert store.ask(ask, max_execution_time="1e9").text == "60\n"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"SELECT 1", mtime=0)),
        ("deflate", zlib.compress(b"SELECT 1")),
        ("zstd", zstandard.compress(b"SELECT 1")),
        ("lz4", lz4.frame.compress(b"SELECT 1")),
        ("snappy", b""),
        ("gzip", b"broken"),
    ],
)
def test_request_bodies_may_be_compressed(
    store: StoreProcess, encoding: str, body: bytes
) -> None:
    headers = {"X-ClickHouse-Key": store.read_token, "Content-Encoding": encoding}
    answer = store.request("POST", "/", body, headers)
    if encoding == "snappy" or body == b"broken":
        assert answer.status in (400, 415)
    else:
        assert answer.body == b"1\n"


def test_the_native_block_compression_is_refused_in_words(store: StoreProcess) -> None:
    answer = store.ask("SELECT 1", compress="1")
    assert (answer.status, answer.code) == (501, 48)


def test_a_form_carries_the_query_and_its_parameters(store: StoreProcess) -> None:
    lines = []
    for name, value in {"query": "SELECT {a:String}", "param_a": "x\\ty"}.items():
        lines += ["--b", f'Content-Disposition: form-data; name="{name}"', "", value]
    body = "\r\n".join([*lines, "--b--", ""]).encode()
    headers = {
        "X-ClickHouse-Key": store.read_token,
        "Content-Type": "multipart/form-data; boundary=b",
    }
    assert store.request("POST", "/", body, headers).body == b"x\\ty\n"


def test_a_get_reads_even_with_the_write_token(store: StoreProcess) -> None:
    target = f"/?query=DROP+TABLE+steps&password={store.write_token}"
    assert store.request("GET", target).code == 164


def test_inserted_data_is_stored_byte_for_byte_and_never_run(
    store: StoreProcess,
) -> None:
    store.write("CREATE TABLE bytes (a String) ENGINE = MergeTree ORDER BY a")
    evil = b"x\n\nDROP TABLE bytes\n\n;DROP TABLE bytes; -- \\'\0"
    body = bytes([len(evil)]) + evil
    assert store.write(b"INSERT INTO bytes FORMAT RowBinary\n" + body).status == 200
    assert (
        store.write(body, query="INSERT INTO tacho.bytes FORMAT RowBinary").status
        == 200
    )
    assert store.ask("SELECT a FROM bytes FORMAT RowBinary").body == body * 2
    store.write("DROP TABLE bytes")


def test_an_insert_with_a_bad_row_stores_none_of_its_rows(store: StoreProcess) -> None:
    rows = b'{"model":"good"}\n{"model":"bad","valid_from":"soon"}\n'
    answer = store.write(rows, query="INSERT INTO prices FORMAT JSONEachRow")
    assert answer.status != 200
    assert store.ask("SELECT count() FROM prices WHERE model = 'good'").text == "0\n"


def test_slow_queries_block_neither_ping_nor_inserts(tmp_path: Path) -> None:
    store = open_store(tmp_path)

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            store.ask("SELECT sum(cityHash64(number)) FROM numbers(1000000000000)")

    askers = [threading.Thread(target=ask) for _ in range(6)]
    for asker in askers:
        asker.start()
    try:
        assert store.request("GET", "/ping").status == 200
        assert store.write("INSERT INTO prices (model) SELECT 'beside'").status == 200
        assert all(asker.is_alive() for asker in askers)
    finally:
        store.end()
        for asker in askers:
            asker.join()
