"""What is settled on accounts in Redis is known to whoever asks, and nobody waits for it in vain."""

from collections.abc import Iterator

import pytest

from proxy.judge.claims import NONE, Mode, Scope, Settle, Take
from tests.helpers.redis import fake_redis, joined

pytestmark = pytest.mark.blocking_allowed  # the server of Python shares this process

HOUR_US = 3_600_000_000
NOW_US = 1_790_000_000_000_000
OWNERS = ("", "", "", "")


@pytest.fixture
def server() -> Iterator[str]:
    with fake_redis() as url:
        yield url


def take(key: int, amount: int, *, is_reserved: bool) -> Take:
    return Take(key, Scope.OWN, amount, NONE, NONE, Mode.ENFORCE, is_reserved, HOUR_US)


async def test_what_is_spent_is_what_was_settled_and_has_not_expired(server: str):
    async with joined(server) as state:
        assert await state.spent([], NOW_US) == {}
        assert await state.claim([take(1, 5, is_reserved=True), take(2, 1, is_reserved=False)], OWNERS, NOW_US)  # fmt: skip
        state.tell([Settle(1, "", 5, 7, HOUR_US)], NOW_US)
        assert await state.spent([1, 2, 9], NOW_US) == {1: 7, 2: 1, 9: 0}
        assert await state.spent([1], NOW_US + HOUR_US) == {1: 0}


async def test_nobody_says_what_is_spent_without_a_connection(server: str):
    async with joined(server) as state:
        await state.close()
        assert await state.spent([1], NOW_US) is None
