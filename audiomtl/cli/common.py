"""Functions shared by several subcommands.

Contents: `quiet_tensorflow`, `with_data`, `all_experiments`, `count`.
"""

import os
import sys
from typing import Any


def quiet_tensorflow() -> None:
    """Redirect messages of TensorFlow's C++ code to the log of the runs.

    Python's own stderr stays the terminal.
    """
    from audiomtl.harness.record.store import server_log
    from audiomtl.redaction import guard_streams

    server_log().parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    guard_streams()
    with server_log().open("a") as log:
        os.dup2(log.fileno(), 2)


def with_data(settings: Any) -> None:
    """Generate or find the data and pretrained weights before anything heavy is imported."""
    from audiomtl.data import availability

    availability.require(settings)


def all_experiments() -> list[str]:
    """Names of all experiments; an error in a folder that has none."""
    from audiomtl import config
    from audiomtl.errors import UserError

    if not (found := config.names("experiments")):
        raise UserError(
            f"{os.getcwd()}: no experiments/*.toml in this folder; run audiomtl in the folder of the project"
        )
    return found


def count(names: list[str], one: str, many: str) -> str:
    return f"{len(names)} {one if len(names) == 1 else many}"
