"""What MLflow may not do on its own."""

import os
import subprocess
import sys

import pytest

# where one of them is set MLflow sends nothing
QUIET = (
    "PYTEST_CURRENT_TEST",
    "CI",
    "MLFLOW_DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
)


def printed(code: str, **environment: str) -> list[str]:
    """Words that a new process prints whose environment says nothing of tests and telemetry."""
    clean = {name: value for name, value in os.environ.items() if name not in QUIET}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_mlflow_sends_no_telemetry():
    code = "from audiomtl.harness.record import store\nfrom mlflow.telemetry import client, utils\n"
    code += "print(utils.is_telemetry_disabled(), client.get_telemetry_client())"
    assert printed(code) == ["True", "None"]


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [({}, "true"), ({"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "false"}, "false")],
)
def test_child_processes_send_none_either_unless_the_user_has_chosen(chosen, kept):
    child = "import os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'], os.environ['DO_NOT_TRACK'])"
    code = (
        f"import subprocess, sys\nimport audiomtl.harness\nsubprocess.run([sys.executable, '-c', {child!r}],"
        " check=True)"
    )
    assert printed(code, **chosen) == [kept, kept]
