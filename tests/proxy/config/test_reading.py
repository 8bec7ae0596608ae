import pytest

from proxy.config.reading import convert, read_yaml, shown
from proxy.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key a stands twice"),
        ("x: {y: 1, y: 2}", "line 1: the key y stands twice"),
        ("x: [", "line 2, column 1: this is not YAML"),
        ("a: \x00", "this is not YAML"),
        ("- 1", "must be a mapping of keys"),
        ("!!python/object:os.system {}", "this is not YAML"),
    ],
)
def test_yaml_that_cannot_be_used_is_refused(text, message):
    with pytest.raises(SettingsError) as refused:
        read_yaml(text)
    assert message in str(refused.value)


def test_off_and_on_are_words():
    text = "a: off\nb: On\nc: true\nd: no\ne: old"
    assert read_yaml(text) == {"a": "off", "b": "On", "c": True, "d": False, "e": "old"}


def test_a_route_leaves_usage_alone_as_the_readme_says():
    text = "routes: {x: {url: http://h, stream_usage: off}}"
    assert convert(read_yaml(text)).routes["x"].stream_usage == "off"


def test_a_number_of_tokens_is_no_secret():
    assert shown("policies.caps.tokens", -1) == "-1"
    assert shown("store.read_token", "x") == "(a secret, not shown)"


def test_merge_keys_work():
    text = "base: &b {u: 1}\nx: {<<: *b, v: 2}"
    assert read_yaml(text)["x"] == {"u": 1, "v": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lisen: x", "lisen: there is no such key; did you mean listen?"),
        ("spool: {fsink: x}", "spool.fsink: there is no such key; did you mean fsync?"),
        ("admin: {zzz: x}", "admin.zzz: there is no such key; there are listen, token"),
        (
            "routes: {x: {uri: http://h}}",
            "routes.x.uri: there is no such key; did you mean url?",
        ),
        ("routes: {x: {}}", "routes.x.url: is missing; it must be text"),
        ("routes: {x: }", "routes.x: is None; it must be a mapping of keys"),
        (
            "routes: {1: {url: http://h}}",
            "routes.1: a key must be text; put it in quotes",
        ),
        ("1: x", "1: a key must be text; put it in quotes"),
        ("admin: 5", "admin: is 5; it must be a mapping of keys"),
        ("listen: 4141", "listen: is 4141; it must be text"),
        ("workers: '2'", "workers: is '2'; it must be a whole number"),
        ("workers: 1.5", "workers: is 1.5; it must be a whole number"),
        ("response_headers: 1", "response_headers: is 1; it must be true or false"),
        (
            "timeouts: {idle_seconds: soon}",
            "timeouts.idle_seconds: is 'soon'; it must be a number",
        ),
        (
            "timeouts: {idle_seconds: null}",
            "timeouts.idle_seconds: is None; it must be a number",
        ),
        (
            "timeouts: {first_byte_seconds: []}",
            "timeouts.first_byte_seconds: is []; it must be a number",
        ),
        (
            "spool: {fsync: nver}",
            "spool.fsync: is 'nver'; it must be one of always, interval, never",
        ),
        (
            "clients: {a: {key_env: K, may_set: [x]}}",
            "clients.a.may_set: is ['x']; it must be a list",
        ),
        (
            "routes: {x: {url: u, stream_usage: z}}",
            "it must be one of inject, estimate, off, ''",
        ),
        ("secret: 5", "secret: is (a secret, not shown); it must be text"),
        ("tenant: " + "[" + "a" * 200 + "]", "..."),
        ("listen_tls: {cert_file: c}", "listen_tls.key_file: is missing"),
    ],
)
def test_what_does_not_fit_is_named_with_path_value_and_remedy(text, message):
    with pytest.raises(SettingsError) as refused:
        convert(read_yaml(text))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "timeouts: {first_byte_seconds: null}",
        "timeouts: {connect_seconds: 3}",
        "listen_tls: null",
    ],
)
def test_null_and_whole_numbers_fit_where_they_mean_something(text):
    convert(read_yaml(text))
