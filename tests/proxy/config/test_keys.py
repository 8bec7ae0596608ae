import pytest

from proxy.config import (
    AwsSigning,
    ClientSettings,
    RouteSettings,
    Settings,
    read_keys,
)
from proxy.errors import SettingsError
from proxy.http.sigv4 import Credentials

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


def signing(**aws: str) -> Settings:
    return Settings(
        routes={"b": RouteSettings("http://b", sign="aws", aws=AwsSigning(**aws))}
    )


NAMED = {
    "access_key_id_env": "B_ID",
    "secret_access_key_env": "B_SECRET",
    "session_token_env": "B_TOKEN",
}


def test_the_key_that_signs_stands_where_aws_has_it():
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "sec+ret/"}
    assert read_keys(signing(), environ).aws == {"b": Credentials("id", "sec+ret/")}
    temporary = {**environ, "AWS_SESSION_TOKEN": "token=="}
    keys = read_keys(signing(), temporary)
    assert keys.aws == {"b": Credentials("id", "sec+ret/", "token==")}
    assert "sec+ret" not in repr(keys)
    assert read_keys(SETTINGS, {"A_KEY": "a", "B_KEY": "b", "X_KEY": "x"}).aws == {}


def test_the_key_that_signs_may_have_names_of_its_own():
    environ = {"B_ID": "id", "B_SECRET": "secret", "B_TOKEN": "token"}
    assert read_keys(signing(**NAMED), environ).aws == {
        "b": Credentials("id", "secret", "token")
    }


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {},
            r"routes\.b\.aws\.access_key_id_env: the environment variable B_ID is not",
        ),
        (
            {"B_ID": "id"},
            r"routes\.b\.aws\.secret_access_key_env: the environment variable B_SECRET",
        ),
        (
            {"B_ID": "id", "B_SECRET": "s"},
            r"routes\.b\.aws\.session_token_env: the environment variable B_TOKEN",
        ),
    ],
)
def test_a_part_of_the_key_that_is_missing_is_named(environ, message):
    with pytest.raises(SettingsError, match=message):
        read_keys(signing(**NAMED), environ)
