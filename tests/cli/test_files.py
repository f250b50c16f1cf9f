"""Bad commands and bad settings files: each ends in one line that says place, value, rule and remedy, before
any work.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl.cli import runs
from audiomtl.data import audio
from tests.command import run
from tests.settings.files import put

CLIPS = 24


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A project with 24 recordings, tables of them, and an experiment and a study by `audiomtl new`."""
    from audiomtl.harness import new

    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
        (folder / "clips").mkdir()
        for number in range(CLIPS):
            y = 0.1 * np.random.default_rng(number).standard_normal(4000)
            audio.save(folder / "clips" / f"{number:02}.wav", y.clip(-1, 1), sample_rate=8000)
        table = pd.DataFrame(
            {
                "path": [f"{number:02}.wav" for number in range(CLIPS)],
                "kind": ["low", "high"] * (CLIPS // 2),
                "speaker": [f"s{number // 2 % 4}" for number in range(CLIPS)],
            }
        )
        table.to_csv("clips/good.csv", index=False)
        table.assign(kind="low").to_csv("clips/one_class.csv", index=False)
        table.head(0).to_csv("clips/empty.csv", index=False)
        table.assign(speaker="s0").to_csv("clips/one_speaker.csv", index=False)
        table.assign(speaker=table["kind"]).to_csv("clips/confounded.csv", index=False)
        table.assign(fold=np.where(table["kind"] == "low", 0, np.arange(CLIPS) % 3)).to_csv(
            "clips/folds.csv", index=False
        )
        table.assign(side="train").to_csv("clips/sides.csv", index=False)
        Path("clips/book.xlsx").write_bytes(b"PK\x03\x04")
        Path("notes.txt").write_text("no table")
        Path("nothing").mkdir()
        new.write("mine", "clips/good.csv", model="mil")
        new.write("forest", "clips/good.csv", model="baseline")
    return folder


@pytest.fixture(autouse=True)
def project(made, monkeypatch) -> Path:
    monkeypatch.chdir(made)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(made / "cache"))
    monkeypatch.setenv("AUDIOMTL_RUNS", str(made / "runs"))
    return made


def told(err: str, parts: tuple[str, ...]) -> None:
    assert err.startswith("audiomtl: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert [part for part in parts if part not in err] == [], err
    assert "Traceback" not in err and len(err) < 900


NEW = ("new", "x", "--data")


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("new", "x"), 2, ("missing option '--data'",)),
        (("new",), 2, ("missing",)),
        ((*NEW, "gone.csv"), 2, ("--data gone.csv: no such file",)),
        ((*NEW, "notes.txt"), 2, ("--data notes.txt",)),
        ((*NEW, "clips/book.xlsx"), 2, ("clips/book.xlsx",)),
        ((*NEW, "nothing"), 2, ("nothing: contains no recordings",)),
        ((*NEW, "clips/empty.csv"), 2, ("--data clips/empty.csv",)),
        ((*NEW, "clips/one_class.csv", "--label", "kind"), 2, ("kind", "every clip has the same class (low)")),
        ((*NEW, "clips/confounded.csv", "--groups", "speaker"), 2, ("no split into train, validation and test",)),
        ((*NEW, "clips/good.csv", "--model", "mil2"), 2, ("--model mil2: no template; did you mean mil?", "auto")),
        ((*NEW, "clips/good.csv", "--model", "ctc"), 2, ("--model ctc", "no column has them", "these fit: ")),
        ((*NEW, "clips/good.csv", "--label", "kidn"), 2, ("--label kidn", "did you mean kind?")),
        ((*NEW, "clips/good.csv", "--groups", "singer"), 2, ("--groups singer", "it has path, kind")),
        ((*NEW, "clips/good.csv", "--path", "sound"), 2, ("clips/good.csv", "sound")),
        ((*NEW, "clips", "--path", "sound"), 2, ("--data clips: is a folder, which has no column sound",)),
        ((*NEW, "clips/good.csv", "--on-bad", "drop"), 2, ("'--on-bad'", "'error', 'skip'")),
        (("new", "a b", "--data", "clips/good.csv"), 2, ("a b: an experiment name may contain only",)),
        (("new", "mine", "--data", "clips/good.csv"), 2, ("experiments/mine.toml, studies/mine.toml: already exist; choose another name",)),
        (("new", "../x", "--data", "clips/good.csv"), 2, ("../x: an experiment name may contain only",)),
        (("data", "mien"), 1, ("experiments/mien.toml: no such file; did you mean mine?",)),
        (("data", "fetch", "yamnte"), 2, ("fetch yamnte: no such download; did you mean yamnet?",)),
        (("check", "mien"), 2, ("mien: no such file in experiments/ or studies/; did you mean mine?",)),
        (("best", "mien"), 2, ("experiments/mien.toml: no such file; did you mean mine?",)),
        (("ablations", "mine", "--beside", "max"), 2, ("--beside needs --curve",)),
        (("ablations", "mine", "--curve", "--fractions", "x"), 2, ("'--fractions': must be a number",)),
        (("curve", "mine"), 2, ("no such command 'curve'",)),
        (("check", "--settings", "manifst"), 2, ("manifst: no such family or data set; did you mean manifest?",)),
        (("study", "mine", "--workers", "2"), 2, ("--workers needs --executor",)),
    ],
)  # fmt: skip
def test_a_bad_command_is_one_line(words, code, parts, monkeypatch, capsys):
    found, _, err = run(monkeypatch, capsys, *words)
    assert found == code, err
    told(err, parts)


def edits(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        for path, value in pairs:
            text = put(path, value)(text)
        return text

    return edit


FOLDS = ("protocol.kind", '"folds"\ncolumn = "fold"')
TABLE = "data.table"


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        # what the file alone says
        (edits(("training.monitor", '"validation/acuracy"')), ("did you mean validation/accuracy?", "mil has")),
        (edits(("training.monitor_direction", '"maximize"')), ("validation/loss is better when it is lower",)),
        (edits(("training.monitor", '"validation/accuracy"')), ("better when it is higher", 'write "maximize"')),
        (edits(("data.dataset", '"manifst"')), ('data.dataset = "manifst"', "did you mean manifest?")),
        (edits(("data.on_bad", '"ignore"')), ('data.on_bad = "ignore": must be one of "error", "skip"',)),
        (edits(("protocol.kind", '"leave_1_out"')), ("must be one of", "did you mean leave_one_out?")),
        (edits(("pooling.name", '"means"')), ("did you mean mean?",)),
        (edits(("windows.seconds", "-1.0")), ("windows.seconds = -1.0: must be greater than 0",)),
        (edits(("features.bands", '"many"')), ('features.bands = "many": must be a whole number',)),
        (edits(("seeds", "[0, 1]")), ("study_seed must not be in seeds",)),
        # what the data say
        (edits((TABLE, '"clips/gone.csv"')), ("skipped: ", "no such file")),
        (edits((TABLE, '"clips/empty.csv"')), ("clips/empty.csv",)),
        (edits((TABLE, '"clips/one_class.csv"')), ("every clip has the same class (low); at least two",)),
        (edits((TABLE, '"clips/one_speaker.csv"')), ("group speaker: 1 values, but one each for",)),
        (edits((TABLE, '"clips/folds.csv"'), FOLDS, ("data.groups", "[]")), ("seeds 0, 3: split: kind low of test", "absent from train")),
        (edits(("protocol.kind", '"folds"\ncolumn = "flod"')), ('protocol.column = "flod"', "no such column")),
        (edits((TABLE, '"clips/sides.csv"'), ("protocol.kind", '"split"\ncolumn = "side"')),
         ("the validation split is empty",)),
        (edits(("data.label", '"kidn"')), ('data.label = "kidn"', "did you mean kind?")),
        (edits(("data.groups", '["singer"]')), ('data.groups = "singer"',)),
        (edits(("windows.tail", '"drop"'), ("windows.seconds", "2.0")), ('windows.tail = "drop": 24 clips have no',)),
        (edits(("network.window", '"embedding"')), ('network.window = "embedding"', "embedding_path")),
        (edits(("features.bands", "300")), ("features.bands = 300", "contain no bin")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["best", "ablations", "study"])
def test_a_bad_experiment_is_refused_before_any_training(command, edit, parts, project, monkeypatch, capsys):
    """By all that train, with the same words; `check` says what the file alone says, `data` the rest."""

    def trains(context: object) -> None:
        raise AssertionError("this would be trained")

    monkeypatch.setattr(runs, "run_in_workers", trains)
    path = project / "experiments" / "mine.toml"
    old = path.read_text(encoding="utf-8")
    path.write_text(edit(old), encoding="utf-8")
    try:
        code, out, err = run(monkeypatch, capsys, command, "mine")
        if "skipped: " in parts and command != "study":
            assert code == 0 and "skipped: " in out  # absent data are no mistake
            return
        assert code == 2, (out, err)
        told(err, parts[1:] if "skipped: " in parts else parts)
        assert re.match(r"audiomtl: (experiments/mine\.toml|clips/|data\.table)", err), err
        if command == "best":
            assert run(monkeypatch, capsys, "data", "mine")[0] == (0 if "skipped: " in parts else 1)
    finally:
        path.write_text(old, encoding="utf-8")
    assert not (project / "runs").exists()


def test_an_ablation_is_refused_with_its_name(project, monkeypatch, capsys):
    path = project / "experiments" / "forest.toml"
    old = path.read_text(encoding="utf-8")
    path.write_text(
        old + '\n[ablation.folds]\nprotocol.kind = "folds"\nprotocol.column = "flod"\n', encoding="utf-8"
    )
    try:
        code, _, err = run(monkeypatch, capsys, "ablations", "forest")
    finally:
        path.write_text(old, encoding="utf-8")
    assert code == 2
    told(
        err,
        ('experiments/forest.toml: ablation.folds: protocol.column = "flod": the clip table has no such',),
    )


def test_the_good_ones_are_good(monkeypatch, capsys):
    assert run(monkeypatch, capsys, "check", "mine", "forest") == (
        0,
        "2 experiments and 2 studies are valid\n",
        "",
    )
    code, out, err = run(monkeypatch, capsys, "data", "forest", "mine")
    assert (code, err) == (0, "") and "forest: 24 clips, 0.2 minutes (manifest clips/good.csv)" in out
