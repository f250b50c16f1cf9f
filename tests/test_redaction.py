"""Passwords stand in no text that leaves the process."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from audiomtl import redaction
from audiomtl.redaction import guard_streams, redact, redact_files, without_credentials

PASSWORD = "p@ss/w0rd é"
QUOTED = "p%40ss%2Fw0rd%20%C3%A9"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch) -> None:
    for name in (*redaction.URL_VARIABLES, *redaction.SECRET_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(redaction, "_remembered", set())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:////home/me/runs/optuna.db", "sqlite:////home/me/runs/optuna.db"),
        ("http://127.0.0.1:5000/#/experiments/1", "http://127.0.0.1:5000/#/experiments/1"),
        ("http://me@host:5000", "http://me@host:5000"),
        ("View run at http://me:pw@host:5000/x.", "View run at http://me:***@host:5000/x."),
        ("postgresql+psycopg://me:p@ss@host/db failed", "postgresql+psycopg://me:***@host/db failed"),
        ("postgresql://host/db?user=me&password=pw&sslmode=require", "postgresql://host/db?user=me&password=***&sslmode=require"),
        ("host=h password=pw dbname=d", "host=h password=*** dbname=d"),
        ("trial 3: error rate 0.5 at 10:30 by a@b.org", "trial 3: error rate 0.5 at 10:30 by a@b.org"),
    ],
)  # fmt: skip
def test_a_password_in_a_url_is_hidden_and_all_else_stays(text, shown) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize("variable", redaction.URL_VARIABLES)
def test_a_password_of_the_environment_is_hidden_wherever_it_stands(variable, monkeypatch) -> None:
    monkeypatch.setenv(variable, f"https://me:{QUOTED}@host/x")
    for text in (PASSWORD, QUOTED, f"reason: {PASSWORD!r}"):
        hidden = redact(f"before {text} after")
        assert "w0rd" not in hidden and hidden.startswith("before ") and hidden.endswith(" after")


@pytest.mark.parametrize("variable", redaction.SECRET_VARIABLES)
def test_a_variable_that_is_a_secret_is_hidden(variable, monkeypatch) -> None:
    monkeypatch.setenv(variable, "t0ps3cret")
    assert redact("token t0ps3cret.") == "token ***."


def test_a_short_password_hides_no_word_of_a_text(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:a@host")
    assert redact("a trial at http://me:a@host") == "a trial at http://me:***@host"


def test_a_url_given_as_an_option_is_remembered() -> None:
    redaction.remember("postgresql://me:0ption@host/db")
    assert redact("FATAL: 0ption") == "FATAL: ***"


def test_an_address_to_open_has_no_user() -> None:
    assert without_credentials("https://me:p@ss@host:1/x") == "https://host:1/x"
    assert without_credentials("http://host:1/x") == "http://host:1/x"


def test_the_streams_of_a_process_are_guarded(monkeypatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.StringIO())
    guard_streams()
    guard_streams()
    print("http://me:pw@host", "é")
    sys.stderr.writelines(["http://me:pw@host\n", "x"])
    assert sys.stdout.getvalue() == "http://me:***@host é\n" and not sys.stdout.isatty()
    assert sys.stderr.getvalue() == "http://me:***@host\nx"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_early_does_not_end_the_command(stream, tmp_path) -> None:
    program = (
        "import sys; from audiomtl.redaction import guard_streams; guard_streams()\n"
        f"for n in range(20_000): print('a line of text', n, file=sys.{stream}, flush=n % 2 == 0)\n"
        "open('kept', 'w').write('computed')"
    )
    pipe = f"({shlex.quote(sys.executable)} -c {shlex.quote(program)}; echo $? > code) "
    done = subprocess.run(
        ["bash", "-c", pipe + ("| head -1" if stream == "stdout" else "2>&1 >/dev/null | head -1")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(redaction.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("a line of text 0\n", "")
    assert (tmp_path / "code").read_text() == "0\n" and (tmp_path / "kept").read_text() == "computed"


def test_text_files_are_cleaned_and_others_left_as_they_are(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "t0ps3cret")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "log.txt").write_bytes(b"\xff t0ps3cret\r\n")
    (tmp_path / "weights.npz").write_bytes(b"t0ps3cret")
    redact_files(tmp_path)
    assert (tmp_path / "model" / "log.txt").read_bytes() == b"\xff ***\r\n"
    assert (tmp_path / "weights.npz").read_bytes() == b"t0ps3cret"
