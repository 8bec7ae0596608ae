"""How patient the supervisor is by default."""

from proxy.supervise.spec import PATIENT, ChildSpec, Watch


def test_children_get_three_misses_of_five_seconds():
    assert Watch() == Watch(every_seconds=2.0, answer_within_seconds=5.0, misses=3)
    assert ChildSpec("store", ("x",)).watch.silence_seconds == 15.0


def test_the_worker_is_left_alone_for_half_a_minute():
    assert PATIENT.silence_seconds == 30.0
