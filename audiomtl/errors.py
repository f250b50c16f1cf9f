"""The two errors that a user can cause.

Their text is one line: place, value, rule, remedy; the command prints it bare.
"""


class UserError(Exception):
    """A mistake in a file, an option or the data, reported in one line without a traceback."""


class MissingData(UserError):
    """A published data set that is missing on this machine.

    The text says which folder, what belongs there, and its source.
    """
