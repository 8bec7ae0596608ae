import os

import pytest

from proxy.config import as_environment, environment, load
from proxy.config.built_in import built_in_routes
from proxy.config.loader import OVERRIDES
from proxy.errors import SettingsError


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "tacho.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_no_file_at_all_gives_the_defaults():
    settings = load(None, {})
    assert settings.listen == "127.0.0.1:4141"
    assert settings.routes == built_in_routes(settings.listen)


def test_an_empty_file_gives_the_defaults(file):
    assert load(file("# nothing\n"), {}) == load(None, {})


def test_a_route_of_the_same_name_replaces_a_built_in_one_whole(file):
    settings = load(
        file(
            "routes: {openai: {url: http://127.0.0.1:9/v}, mine: {url: http://m, kind: tool}}"
        ),
        {},
    )
    assert {*settings.routes} == {*built_in_routes(settings.listen), "mine"}
    assert settings.routes["openai"].url == "http://127.0.0.1:9/v"


def test_flags_win_over_the_environment_and_that_over_the_file(file):
    path = file("tenant: file\nenv: file\nagent: file\n")
    settings = load(
        path, {"TACHO_ENV": "environ", "TACHO_AGENT": "environ"}, {"agent": "flag"}
    )
    assert (settings.tenant, settings.env, settings.agent) == (
        "file",
        "environ",
        "flag",
    )


def test_the_environment_may_name_the_file(file):
    assert load(None, {"TACHO_CONFIG": file("tenant: mine")}).tenant == "mine"


def test_overrides_take_the_type_of_their_key():
    settings = load(
        None,
        {
            "TACHO_MAX_INFLIGHT": "7",
            "TACHO_DRAIN_SECONDS": "0.5",
            "TACHO_RESPONSE_HEADERS": "false",
            "TACHO_SPOOL_FSYNC": "always",
            "TACHO_CLICKHOUSE_URL": "http://ch:8123",
        },
    )
    assert settings.limits.max_inflight == 7
    assert settings.timeouts.drain_seconds == 0.5
    assert settings.response_headers is False
    assert settings.spool.fsync == "always"
    assert settings.exporters.clickhouse.url == "http://ch:8123"


def test_an_override_keeps_what_else_its_section_says(file):
    settings = load(
        file("admin: {token: abc}\nstore:\n"),
        {"TACHO_ADMIN_LISTEN": "0.0.0.0:1", "TACHO_STORE_LISTEN": "localhost:2"},
    )
    assert (settings.admin.listen, settings.admin.token, settings.store.listen) == (
        "0.0.0.0:1",
        "abc",
        "localhost:2",
    )


@pytest.mark.parametrize(("variable", "key"), OVERRIDES.items(), ids=list(OVERRIDES))
def test_each_override_reaches_its_key(variable, key):
    """A null byte is no address, name, number, file or token; a key that takes any text holds it."""
    try:
        value: object = load(None, {variable: "\0"})
        for name in key.split("."):
            value = getattr(value, name)
    except SettingsError as refused:
        value = str(refused)
    assert (
        value == "\0" or variable in str(value) or key.partition(".")[0] in str(value)
    )


@pytest.mark.parametrize(
    ("variable", "parts"),
    [
        ("TACHO_LISEN", ["TACHO_LISEN", "did you mean TACHO_LISTEN?"]),
        (
            "TACHO_ZZZZ_XYZZY_QUUX",
            ["TACHO_ZZZZ_XYZZY_QUUX", "there are TACHO_LISTEN, "],
        ),
        ("TACHO_PORT", ["TACHO_PORT"]),
    ],
)
def test_an_unknown_variable_is_refused(variable, parts):
    with pytest.raises(SettingsError) as refused:
        load(None, {variable: "1"})
    assert all(part in str(refused.value) for part in parts)


def test_variables_of_others_and_those_that_the_file_names_are_let_be(file):
    path = file(
        "clients: {a: {key_env: TACHO_KEY_A}}\nroutes: {x: {url: http://x, upstream_key_env: TACHO_X, "
        "sign: aws, aws: {access_key_id_env: TACHO_ID}}, y: {url: http://y, sign: aws}}"
    )
    environ = {
        "PATH": "/bin",
        "TACHO_KEY_A": "k",
        "TACHO_X": "k",
        "TACHO_ID": "k",
        "TACHO_SERVICE_HOST": "10.0.0.1",
        "TACHO_SERVICE_PORT_DATA": "4141",
        "TACHO_PORT": "tcp://10.0.0.1:4141",
        "TACHO_PORT_4141_TCP_ADDR": "10.0.0.1",
    }
    assert "a" in load(path, environ).clients


def test_a_bad_override_is_named_by_its_variable():
    with pytest.raises(
        SettingsError, match=r"TACHO_MAX_INFLIGHT: is 'many'; it must be a whole number"
    ):
        load(None, {"TACHO_MAX_INFLIGHT": "many"})


def test_an_unknown_flag_is_refused():
    with pytest.raises(
        SettingsError, match=r"limits\.max_series: there is no such flag"
    ):
        load(None, {}, {"limits.max_series": "1"})


def test_an_override_in_a_section_that_is_no_mapping_leaves_that_to_the_check(file):
    with pytest.raises(SettingsError, match=r"admin: is 5; it must be a mapping"):
        load(file("admin: 5"), {"TACHO_ADMIN_LISTEN": "localhost:1"})


def test_flags_travel_to_children_by_the_environment():
    flags = {"listen": "localhost:1", "data_dir": "/d"}
    assert as_environment(flags) == {
        "TACHO_LISTEN": "localhost:1",
        "TACHO_DATA_DIR": "/d",
    }
    assert load(None, as_environment(flags)) == load(None, {}, flags)


def test_the_environment_is_that_of_the_process():
    assert environment() == dict(os.environ)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        SettingsError,
        match=r"none\.yaml: the settings file cannot be read: No such file",
    ):
        load(str(tmp_path / "none.yaml"), {})


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(str(path), {})
