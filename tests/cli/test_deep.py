"""`audiomtl check --deep` by the real command: its exit codes, its picture, and no TensorFlow."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import run
from tests.data.test_audit import BASE, written

CODE = """
import sys
from audiomtl import cli
try:
    cli.main()
except SystemExit as end:
    heavy = {"tensorflow", "keras", "mlflow", "optuna"} & {name.partition(".")[0] for name in sys.modules}
    print(f"<{end.code or 0}> {sorted(heavy)}")
"""


def test_a_leak_ends_with_1_without_tensorflow(tmp_path):
    table = written(tmp_path, [*BASE[:-1], BASE[-1] | {"y": 0.5 * BASE[1]["y"]}])
    done = subprocess.run(
        [sys.executable, "-c", CODE, "check", "--deep", str(table), "--to", "pictures"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("<1> []\n"), done.stdout
    assert "SERIOUS    1 pair of copies on two sides: 01 = 31" in done.stdout
    assert "leak bill  random split" in done.stdout and "unseen speaker" in done.stdout
    assert "listening: 32 of 32 clips" in done.stderr
    assert (tmp_path / "pictures" / "leak_bill.png").read_bytes()[:4] == b"\x89PNG"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    table = written(tmp_path, BASE[:4]).read_text()  # of one speaker, on one side
    sides = table.replace("train", "test", 1).replace("low,s0,train", "low,s0,validation", 1)
    (tmp_path / "sides.csv").write_text(sides)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("check", "--deep", "clips.csv"), 0, ("4 clips are too few", "no serious findings")),
        (("check", "--deep", "clips.csv", "--label", ""), 0, ("label      label (classes)",)),
        (("check", "--deep", "sides.csv", "--groups", "speaker"), 1, ("SERIOUS", "1 value of speaker")),
        (("check", "--deep", "clips.csv", "--label", "speakr"), 1, ("no column speakr", "speaker")),
        (("check", "--deep", "absent"), 1, ("absent: no table or folder", "no experiment")),
        (("check", "--label", "x"), 2, ("need --deep",)),
        (("check", "--deep"), 2, ("no experiments/*.toml",)),
    ],
)
def test_what_it_says_and_how_it_ends(project, monkeypatch, capsys, words, code, parts):
    ended, out, err = run(monkeypatch, capsys, *words)
    assert ended == code, (out, err)
    assert [part for part in parts if part not in out + err] == [], (out, err)
    assert "Traceback" not in out + err
