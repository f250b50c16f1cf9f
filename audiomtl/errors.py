"""Errors that are no bug of the project: those that a person can cause, and those of the machine.

Their text is one line: place, value or reason, rule, remedy; the command prints it bare. Contents:
`UserError`, `MissingData`, `WorkFailed`, `SurroundingsError`, `StoreError`.
"""


class UserError(Exception):
    """A mistake in a file, an option or the data, reported in one line without a traceback."""


class MissingData(UserError):
    """A published data set that is missing on this machine.

    The text says which folder, what belongs there, and its source.
    """


class WorkFailed(UserError):
    """Work that was done and failed: trainings without a score. The command ends with exit code 1."""


class SurroundingsError(Exception):
    """A fault of the machine: a full disk, a folder that cannot be written, a port, a network.

    No training is to blame, and the same command may work once the fault is removed.
    """


class StoreError(SurroundingsError):
    """A database or tracking server that cannot be reached, opened, read or written.

    ``passing``: the connection broke while something was said; saying it again may work.
    """

    passing = False
