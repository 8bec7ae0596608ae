import threading

from proxy.record.doorbell import Doorbell

LONG_SECONDS = 600.0
"""Far more than a test may take: a wait that is not ended by a ring is seen."""


def test_a_ring_ends_a_wait():
    bell = Doorbell(LONG_SECONDS)
    waiting = threading.Thread(target=bell.wait)
    waiting.start()
    bell.ring()
    waiting.join(60)
    assert not waiting.is_alive()
    bell.close()


def test_a_ring_before_the_wait_is_kept_and_many_are_one():
    bell = Doorbell(0.001)
    for _ in range(100):
        bell.ring()
    bell.wait()
    bell.wait()
    bell.close()


def test_a_wait_without_a_ring_ends_by_itself():
    bell = Doorbell(0.001)
    bell.wait()
    bell.close()


def test_after_the_answer_it_rings_again():
    bell = Doorbell(LONG_SECONDS)
    for _ in range(3):
        bell.ring()
        bell.wait()
        bell.answer()
    bell.close()


def test_to_ring_a_closed_bell_does_nothing():
    bell = Doorbell(LONG_SECONDS)
    bell.close()
    bell.ring()
