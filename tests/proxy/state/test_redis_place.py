import pytest
from redis.asyncio.connection import (
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)

from proxy.state.redis_place import place_of


@pytest.mark.parametrize(
    ("url", "name", "kind"),
    [
        ("redis://h", "h:6379/0", Connection),
        ("redis://user:pa%20ss@h:7000/3", "h:7000/3", Connection),
        ("redis://[::1]:7000?db=2", "::1:7000/2", Connection),
        ("rediss://:secret@h/1?ssl_ca_certs=/ca.pem", "h:6379/1", SSLConnection),
        ("unix:///run/redis.sock?db=4", "unix:/run/redis.sock", UnixDomainSocketConnection),
    ],
)  # fmt: skip
async def test_urls_are_understood_and_named_without_secrets(url, name, kind):
    place = place_of(url)
    assert place.name == name
    assert "pa" not in repr(place).replace("Place", "")
    assert "secret" not in repr(place)
    assert type(place.connection()) is kind


async def test_user_password_and_database_are_used():
    connection = place_of("redis://user:pa%20ss@h:7000/3").connection()
    said = vars(connection) | {name: getattr(connection, name) for name in ("username", "password", "db")}  # fmt: skip
    assert (said["username"], said["password"], said["db"]) == ("user", "pa ss", 3)


@pytest.mark.parametrize(
    "url",
    ["http://u:secret@h", "redis://", "redis://u:secret@h/x", "redis://u:secret@h:99999", "redis://u:secret@h?max_connections=x",
     "redis://u:secret@h?protocol=3", "redis://u:secret@h?db=x", "redis://u:secret@h/0/1", "redis://u:secret@[h"],
)  # fmt: skip
def test_other_urls_are_refused_and_not_quoted(url):
    with pytest.raises(ValueError, match=r"URL|options") as refused:
        place_of(url)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
