"""Which errors are one line, and with which exit code."""

import errno

import pytest

from audiomtl import cli
from audiomtl.cli.mistakes import in_one_line
from audiomtl.errors import MissingData, StoreError, SurroundingsError, UserError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("x.toml: seed: 1.5: must be whole"), ("x.toml: seed: 1.5: must be whole", 2)),
        (MissingData("data/x: missing"), ("data/x: missing", 2)),
        (SurroundingsError("port 5000: taken"), ("port 5000: taken", 1)),
        (StoreError("runs/optuna.db: locked"), ("runs/optuna.db: locked", 1)),
        (OSError(errno.ENOSPC, "full", "/x"), ("/x: the disk is full: free some space, then run the same command again", 1)),
        (FileNotFoundError(errno.ENOENT, "none", "/x"), ("", 0)),
        (KeyError("a bug"), ("", 0)),
        (StoreError("two\nlines of http://me:pw@host"), ("two\\nlines of http://me:***@host", 1)),
    ],
)  # fmt: skip
def test_an_error_in_one_line(error, told) -> None:
    assert in_one_line(error) == told


@pytest.mark.parametrize(
    ("error", "code"), [(StoreError("place: reason: remedy"), 1), (UserError("place: value: rule"), 2)]
)
def test_the_command_prints_the_line_and_ends_with_the_code(error, code, capsys, monkeypatch) -> None:
    def fail(**_options: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code and capsys.readouterr().err == f"audiomtl: {error}\n"
