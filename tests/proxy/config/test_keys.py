import pytest

from proxy.config import ClientSettings, RouteSettings, Settings, read_keys
from proxy.errors import SettingsError

SETTINGS = Settings(
    clients={"a": ClientSettings("A_KEY"), "b": ClientSettings("B_KEY")},
    routes={
        "x": RouteSettings("http://x", upstream_key_env="X_KEY"),
        "y": RouteSettings("http://y"),
    },
)


def test_keys_come_from_the_environment():
    keys = read_keys(SETTINGS, {"A_KEY": "a", "B_KEY": " b\n", "X_KEY": "x"})
    assert keys.clients == {"a": "a", "b": "b"}
    assert keys.upstream == {"x": "x"}
    assert "'a'" not in repr(keys)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, r"clients\.a\.key_env: the environment variable A_KEY is not set"),
        (
            {"A_KEY": "a", "B_KEY": "a"},
            r"clients\.b\.key_env: another client has the same key",
        ),
        ({"A_KEY": "s3 cret"}, r"clients\.a\.key_env: A_KEY holds a space"),
        (
            {"A_KEY": "a", "B_KEY": "b"},
            r"routes\.x\.upstream_key_env: the environment variable X_KEY is not set",
        ),
    ],
)
def test_a_key_that_cannot_be_used_is_named_by_its_variable(environ, message):
    with pytest.raises(SettingsError, match=message) as refused:
        read_keys(SETTINGS, environ)
    assert "cret" not in str(refused.value)
