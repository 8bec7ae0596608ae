"""The few exceptions that cross modules.

Foreign exceptions (sockets, TLS, parsers, the file system) are translated into these where they enter.
"""


class TachoError(Exception):
    """Base of every error that Tachograph raises on purpose."""


class SettingsError(TachoError):
    """The settings cannot be used; the message names the key, the value and the remedy."""


class StartError(TachoError):
    """The product cannot start (port in use, data directory locked, ...); one line, says what to do."""


class RecordError(TachoError):
    """A stored record cannot be read: torn, corrupt, or written by a newer version."""
