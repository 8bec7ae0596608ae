from proxy.meter.dialect import Operation
from proxy.model import Kind


def test_an_operation_is_a_value():
    first, second = (
        Operation("chat", Kind.LLM, is_step=True, buffered=True) for _ in range(2)
    )
    assert first == second
    assert hash(first) == hash(second)
