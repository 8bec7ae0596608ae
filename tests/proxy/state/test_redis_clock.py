import pytest

from proxy.state.redis_clock import LEAST_US, SharedClock

HOUR_US = 3_600_000_000


class Times:
    steady = wall = 1_790_000_000_000_000


def clock_of(times: Times) -> SharedClock:
    return SharedClock(lambda: times.steady, lambda: times.wall)


def hear(clock: SharedClock, times: Times, redis_us: int, took_us: int = 1000) -> None:
    asked_us = clock.asked()
    times.steady += took_us
    times.wall += took_us
    clock.heard(asked_us, *divmod(redis_us, 1_000_000))


@pytest.mark.parametrize("off_us", [-HOUR_US, HOUR_US, 5_000_000])
def test_a_clock_that_is_wrong_goes_by_redis(off_us: int):
    times = Times()
    clock = clock_of(times)
    redis_us = times.steady - off_us
    hear(clock, times, redis_us)
    assert abs(clock.ahead_us + off_us) <= 500
    assert abs(clock.of_wall(times.wall) - redis_us) <= 1500


def test_what_is_known_stands_as_long_as_nothing_speaks_against_it():
    times = Times()
    clock = clock_of(times)
    hear(clock, times, times.steady + 300, took_us=400)
    assert clock.ahead_us == 0
    hear(clock, times, times.steady + 7_000_000, took_us=10_000_000)
    assert clock.ahead_us == 0
    assert clock.of_wall(5) == 5


def test_a_wall_clock_that_somebody_sets_moves_nothing():
    times = Times()
    clock = clock_of(times)
    times.wall += HOUR_US
    assert clock.of_wall(times.wall) == times.wall - HOUR_US
    times.wall -= HOUR_US - LEAST_US // 2
    assert clock.of_wall(times.wall) == times.wall


def test_the_machine_s_own_clocks_agree():
    clock = SharedClock()
    assert clock.of_wall(1) == 1
    assert clock.asked() > 1_700_000_000_000_000
