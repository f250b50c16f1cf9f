"""Tables, progress and durations on narrow terminals, also on a real one."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from rich.console import Console
from rich.table import Table

from audiomtl.harness import terminal
from audiomtl.harness.train import progress

NAME = "validation/segments_boundary_within_20_ms_rate"
SCORES = {
    "test/phone_error_rate_with_pauses": ["0.2057", "0.1934 to 0.2188", "0.8211 one sequence for every clip"],
    NAME: ["0.6382", "", "none"],
}
SCRIPT = f"""
from rich.table import Table
from audiomtl.harness import terminal
from audiomtl.harness.train.progress import Progress, console
with Progress("study a_study_with_a_long_name", 8) as shown:
    shown.begin("trial 12 fold 3", 100)
    shown.epoch("trial 12 fold 3", 100, "{NAME} 0.2345, validation/phone_error_rate 0.1234")
    shown.end("trial 11", "trial 11: {NAME} 0.2345 at epoch 10 of 12", "0.2345 (trial 11)")
table = Table("score", *["seed %d" % n for n in range(12)])
table.add_row("{NAME}", *["0.1234"] * 12)
terminal.show_table(table)
console().print("a line of words that breaks between them, " * 3 + "/a/path/that/is/longer/than/a/line" * 3)
"""


def printed(width: int) -> list[str]:
    page = io.StringIO()
    table = Table("score", "mean", "95 % interval over seeds", "floor")
    for name, cells in SCORES.items():
        table.add_row(name, *cells)
    terminal.show_table(table, Console(file=page, width=width))
    return page.getvalue().splitlines()


def test_a_table_that_fits_is_one():
    lines = printed(160)
    assert lines[0].startswith("┏") and any(SCORES[NAME][0] in line for line in lines)


@pytest.mark.parametrize("width", [48, 80])
def test_a_table_that_does_not_fit_is_a_paragraph_for_each_row_with_whole_names(width):
    lines = printed(width)
    assert max(map(len, lines)) <= width
    assert lines[0] == "test/phone_error_rate_with_pauses" and NAME in lines
    text = " ".join(line.strip() for line in lines)
    assert "mean: 0.2057; 95 % interval over seeds: 0.1934 to 0.2188; floor: 0.8211 one sequence" in text
    assert text.endswith(f"{NAME} mean: 0.6382; floor: none")  # a cell without text is left out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "under a minute"),
        (59.9, "under a minute"),
        (60.0, "about 1 minute"),
        (91.0, "about 2 minutes"),
        (5400.0, "about 90 minutes"),
    ],
)
def test_a_duration_is_never_0_minutes(seconds, text):
    assert terminal.minutes(seconds) == text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_finished_training_is_told_in_lines_that_fit(width, monkeypatch):
    page = io.StringIO()
    monkeypatch.setattr(progress, "console", lambda: Console(file=page, width=width, soft_wrap=True))
    shown = progress.Progress("study tiny", 8)
    shown.begin("trial 1", 12)
    shown.end("trial 1", "trial 1: validation/error 0.25 at 12", "0.2549 (trial 4)")
    first, *rest = page.getvalue().splitlines()
    assert first.startswith("trial 1: validation/error 0.25 at 12")
    assert len(rest) == (0 if width == 200 else 1)
    assert "[1/8, best 0.2549 (trial 4), " in (rest[0] if rest else first)


def test_the_time_left_follows_from_the_median_and_what_runs_at_once(monkeypatch):
    now = 1000.0  # of the first look: the imports before the first training do not count
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    shown = progress.Progress("study tiny", 20)
    now += 60
    for name in ("trial 0", "trial 1"):
        shown.begin(name, 12)
    now += 40
    shown.end("trial 0", "trial 0: done")
    assert shown._summary() == "1/20, about 6 min left"  # 19 trainings of 40 s, two at once
    shown.begin("trial 2", 12)
    now += 10
    for name in ("trial 1", "trial 2", "trial 3"):  # the last one is a copy
        shown.end(name, f"{name}: done")
    assert shown._summary() == "4/20, about 5 min left"  # 16 of 40 s
    for part in ("trial 4 fold 1", "trial 4 fold 2"):
        shown.begin(part, 12)
        now += 5
        shown.leave(part, f"{part}: done")
    shown.end("trial 4", "trial 4: done")
    assert shown._spent == [40, 50, 10, 10] and shown._parts == {}


def test_a_real_terminal_of_80_columns_has_no_line_that_is_longer_and_no_name_that_is_cut():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm"}
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        text += part
    assert process.wait() == 0, text.decode()
    plain = Console(width=1000)
    lines = [plain.render_str("").from_ansi(line).plain for line in text.decode().splitlines()]
    path = "/a/path/that/is/longer/than/a/line" * 3  # as the program wrote it: the terminal breaks it
    assert [line.strip() for line in lines if len(line) > 80] == [path]
    words = next(line for line in lines if line.startswith("a line of words"))
    assert words.split()[-1] in ("a", "line", "of", "words", "that", "breaks", "between", "them,")
    assert sum(NAME in line for line in lines) >= 3  # while it trains, at its end, in the table
    assert not any("…" in line for line in lines)
