"""The errors that cross modules are told apart by what the reader is to do."""

import pytest

from proxy.errors import RecordError, SettingsError, StartError, TachoError


@pytest.mark.parametrize("kind", [RecordError, SettingsError, StartError])
def test_each_is_caught_as_one_of_ours_and_as_nothing_else(kind: type[TachoError]):
    others = {RecordError, SettingsError, StartError} - {kind}
    assert issubclass(kind, TachoError)
    assert not issubclass(kind, tuple(others))
    assert not issubclass(kind, (OSError, ValueError))
