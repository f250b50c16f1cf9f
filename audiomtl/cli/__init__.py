"""The ``audiomtl`` command: one subcommand behind each make target. Only this folder defers imports, so that
``--help`` is instant.

Paths are relative to the project in the current directory. A user's mistake ends with one line and exit code
2, a fault of the machine or a store with one line and 1, a score that was not reproduced or a training that
failed with 1, Ctrl-C with 130. No password is printed.

Contents: `main`, `app`.
"""

import os
import signal
import sys
import threading
from typing import Any

from audiomtl.cli import files, results, runs, use, verify  # noqa: F401  (they add their subcommands)
from audiomtl.cli.app import app
from audiomtl.redaction import guard_streams

ORDER = (
    *(
        "check",
        "data",
        "new",
        "study",
        "status",
        "promote",
        "best",
        "verify",
        "ablations",
        "report",
    ),
    *("export", "predict", "transcribe", "align", "notes", "evaluate", "ui", "price", "clean"),
)
app.registered_commands.sort(key=lambda command: ORDER.index(command.callback.__name__))  # type: ignore[union-attr]


def main() -> None:
    """Entry point of the ``audiomtl`` command."""
    guard_streams()
    sys.unraisablehook = _ctrl_c_again
    # a script's background jobs start with it ignored: `kill -INT` must work
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = app(prog_name="audiomtl", standalone_mode=False)
    except Exception as error:
        from audiomtl.cli.mistakes import in_one_line

        text, code = in_one_line(error)
        if not text:
            raise  # a bug of the project must be seen whole
        print(f"audiomtl: {text}", file=sys.stderr)
        sys.exit(code)
    # typer hands back the code of typer.Exit, and 130 after Ctrl-C
    sys.exit(code if isinstance(code, int) else 0)


def _ctrl_c_again(unraisable: Any) -> None:
    """A Ctrl-C that fell into a callback of Python's own (a weak reference's, say) is swallowed there:
    send it once more.
    """
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
