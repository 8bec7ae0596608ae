"""The columns of what a step asked for.

What lives here: calls of a record as columns of equal length. What does not: what is wrong with a call (the worker says it, where its schema is),
what became of it (views).
"""

from typing import Any

from proxy.record.codec import AskedCall

_MASK = 2**64 - 1


def asked_columns(calls: tuple[AskedCall, ...]) -> dict[str, Any]:
    """Give the columns `call_*` that the worker fills."""
    return {
        "call_id": tuple(each.id for each in calls),
        "call_tool": tuple(each.tool for each in calls),
        "call_args_hash": tuple(each.args_hash & _MASK for each in calls),
        "call_problem": tuple(each.problem for each in calls),
    }
