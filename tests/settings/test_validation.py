"""Experiment files: every slip is told in one line that a newcomer can act on."""

import re

import pytest

from audiomtl import config
from tests.command import run
from tests.settings.files import EXPERIMENT, STUDY, Edit, add, append, check_slip, drop, put


def test_the_fixture_is_valid(project, monkeypatch, capsys):
    assert run(monkeypatch, capsys, "check") == (0, "1 experiment and 1 study are valid\n", "")


EXPERIMENT_SLIPS: dict[str, tuple[Edit, str]] = {
    "unknown key at the top": (add("", "batch = 3"), "batch = 3: no such setting"),
    "misspelt key at the top": (
        put("seeds", "[1, 2]\nstudy_sede = 7"),
        "study_sede = 7: no such setting; did you mean study_seed?",
    ),
    "misspelt key in a table": (
        lambda text: put("network.dropout", "0.1")(text).replace("dropout = 0.1", "dropot = 0.1"),
        "network.dropot = 0.1: no such setting; did you mean network.dropout?",
    ),
    "key in the wrong table": (
        add("features", "clipnorm = 5.0"),
        "features.clipnorm = 5.0: no such setting; did you mean optimizer.clipnorm?",
    ),
    "misspelt key of a data set": (
        add("data", "speekers = 3"),
        "data.speekers = 3: no such setting; did you mean data.speakers?",
    ),
    "misspelt table": (
        lambda text: text.replace("[limits]", "[limit]"),
        "limit: no such setting; did you mean limits?",
    ),
    "two unknown keys": (add("network", "aaa = 1\nbbb = 2"), "network.aaa = 1: no such setting (and 1 more)"),
    "missing key": (drop("optimizer.decay"), "optimizer.decay is missing; add it"),
    "missing key of a data set": (drop("data.clips"), "data.clips is missing; add it"),
    "missing model": (drop("model"), 'model is missing; name the family, such as model = "ctc"'),
    "misspelt model key": (lambda text: text.replace("model =", "modle ="), "model is missing; is it modle?"),
    "missing data set": (
        drop("data.dataset"),
        'data.dataset is missing; name the data set, such as dataset = "manifest"',
    ),
    "unknown data set": (
        put("data.dataset", '"german_speach"'),
        (
            'data.dataset = "german_speach": no such data set; did you mean german_speech?; data sets here:'
            " dali, emodb, esc50, folder, german_speech"
        ),
    ),
    "misspelt data set key": (
        lambda text: text.replace("dataset =", "datasett ="),
        "data.dataset is missing; is it data.datasett?",
    ),
    "data set as a number": (
        put("data.dataset", "3"),
        "data.dataset = 3: must be the name of a data set in quotes",
    ),
    "absent data set outside": (
        put("data.dataset", '"no_such.set"'),
        "no module no_such.set; is no_such installed, or on PYTHONPATH?",
    ),
    "a module that is no data set": (
        put("data.dataset", '"audiomtl.errors"'),
        "audiomtl.errors is not a data set: it needs a class Settings and a function clips",
    ),
    "a corpus's helper": (put("data.dataset", '"espeak"'), "audiomtl.data.corpora.espeak is not a data set"),
    "blocks for fewer groups": (
        put("data.groups", '["speaker"]'),
        "protocol.test_values must have one number >= 1 for each of data.groups = ['speaker'], but got [3, 20]",
    ),
    "the old place of the split": (
        add("data", "test_values = [3, 20]"),
        "data.test_values = [3, 20]: no such setting; did you mean protocol.test_values?",
    ),
    "text for a whole number": (
        put("training.epochs", '"12"'),
        'training.epochs = "12": must be a whole number',
    ),
    "decimal for a whole number": (
        put("training.epochs", "12.0"),
        "training.epochs = 12.0: must be a whole number",
    ),
    "true for a whole number": (
        put("training.batch_size", "true"),
        "training.batch_size = true: must be a whole number",
    ),
    "one for true": (put("optimizer.nesterov", "1"), "optimizer.nesterov = 1: must be true or false"),
    "text for a number": (
        put("optimizer.learning_rate", '"0.1"'),
        'optimizer.learning_rate = "0.1": must be a number',
    ),
    "true for a number": (
        put("optimizer.learning_rate", "true"),
        "optimizer.learning_rate = true: must be a number",
    ),
    "nan": (put("optimizer.decay", "nan"), "optimizer.decay = nan: must be a finite number"),
    "inf": (put("limits.seconds", "inf"), "limits.seconds = inf: must be a finite number"),
    "minus inf in an ablation": (
        append("features.floor_db = -inf\n"),
        "ablation.unscaled.features.floor_db = -inf: must be a finite number",
    ),
    "number for text": (put("description", "3"), "description = 3: must be text in quotes"),
    "text for a list": (
        put("data.groups", '"speaker"'),
        'data.groups = "speaker": must be a list in square brackets',
    ),
    "text in a list of numbers": (put("seeds", '[1, "2"]'), 'seeds[1] = "2": must be a whole number'),
    "text in a data set's list": (
        put("data.held_out_speakers", '["a", 1]'),
        'data.held_out_speakers[0] = "a": must be a whole number',
    ),
    "empty list": (put("network.units", "[]"), "network.units = []: must have a length of at least 1"),
    "number for a table": (
        lambda text: re.sub(r"(?ms)^\[limits\].*?^$", "", "limits = 3\n" + text),
        "limits = 3: must be a table",
    ),
    "out of range below": (
        put("optimizer.learning_rate", "0.0"),
        "optimizer.learning_rate = 0.0: must be greater than 0",
    ),
    "out of range above": (put("network.dropout", "1.0"), "network.dropout = 1.0: must be less than 1"),
    "count of zero": (put("training.epochs", "0"), "training.epochs = 0: must be at least 1"),
    "wrong word": (
        put("network.cell", '"lstmm"'),
        'network.cell = "lstmm": must be one of "lstm", "gru"; did you mean lstm?',
    ),
    "two settings that disagree": (
        put("features.low_hz", "9000.0"),
        "features: low_hz < high_hz <= sample_rate / 2 must hold, but got low_hz=9000.0",
    ),
    "study seed among the seeds": (
        put("study_seed", "1"),
        "study_seed must not be in seeds, and seeds must differ",
    ),
    "several faults": (
        lambda text: put("network.dropout", "2")(put("training.epochs", "0")(text)),
        "network.dropout = 2: must be less than 1 (and 1 more)",
    ),
    "unknown family": (
        put("model", '"ctcc"'),
        (
            'model = "ctcc": no module audiomtl.families.ctcc.settings; did you mean ctc?; families here:'
            " baseline, ctc, fusion, mil"
        ),
    ),
    "a package that is no family": (
        put("model", '"audiomtl"'),
        'model = "audiomtl": no module audiomtl.families.audiomtl.settings',
    ),
    "absent family outside": (
        put("model", '"no_such.thing"'),
        "no module no_such.thing.settings; is no_such installed, or on PYTHONPATH?",
    ),
    "nonsense for a family": (put("model", '"../x y"'), 'model = "../x y": no module'),
    "number for a family": (put("model", "3"), "model = 3: must be the name of a family in quotes"),
    "no value": (put("network.dropout", " "), "not valid TOML"),
    "text without quotes": (
        put("network.cell", "lstm"),
        'text needs quotes, true and false are lower case: "cell = lstm"',
    ),
    "unclosed list": (put("seeds", "[1, 2"), "not valid TOML"),
    "key twice": (add("network", "dropout = 0.3"), "not valid TOML: this key is given twice"),
    "table twice": (append("[network]\n"), "not valid TOML: the table network is given twice"),
    "unknown path in an ablation": (
        append('[ablation.x]\nfeatures.scalling = "none"\n'),
        'ablation.x.features.scalling = "none": no such setting; did you mean features.scaling?',
    ),
    "wrong table in an ablation": (
        append("[ablation.x]\nfeatures.dropout = 0.0\n"),
        "did you mean network.dropout?",
    ),
    "wrong value in an ablation": (
        append("[ablation.x]\nnetwork.dropout = 1.5\n"),
        "ablation.x: network.dropout = 1.5: must be less than 1",
    ),
    "ablation of a whole table": (
        append('[ablation.x]\noptimizer = "adam"\n'),
        'ablation.x.optimizer = "adam": no such setting',
    ),
    "ablation of what is not trained": (
        append("[ablation.x]\nseeds = [9]\n"),
        "ablation.x.seeds = [9]: seeds does not affect training",
    ),
    "empty ablation": (append("[ablation.x]\n"), "ablation.x: must be a table of setting paths"),
    "empty table in an ablation": (
        append("[ablation.x.features]\n"),
        "ablation.x: must be a table of setting paths",
    ),
    "ablation that is no table": (
        append("[ablation]\nx = 3\n"),
        "ablation.x: must be a table of setting paths",
    ),
    "ablations that are no tables": (
        lambda text: "ablation = 3\n" + text.split("[ablation")[0],
        "ablation = 3: must be tables [ablation.NAME]",
    ),
    "ablation with a bad name": (
        append('[ablation."a b"]\nnetwork.dropout = 0.0\n'),
        "ablation.a b: an ablation name may contain only letters",
    ),
    "line break in a key": (add("", '"a\\nb" = 1'), "a\\nb = 1: no such setting"),
    "expected that is no table": (add("", "expected = 3"), "expected = 3: must be a table"),
    "expected without its origin": (
        append('[expected."test/x"]\nmean = 1.0\nper_seed = [1.0]\ntolerance = 0.1\n'),
        "expected.recorded is missing; add it",
    ),
    "expected with text": (
        append(
            '[expected.recorded]\nmachine = "m"\nseeds = [1]\n[expected."test/x"]\nmean = "a"\nper_seed ='
            " [1.0]\ntolerance = 0.1\n"
        ),
        'expected.test/x.mean = "a": must be a number; remove [expected] and write it again',
    ),
    "expected with a score too few": (
        append(
            '[expected.recorded]\nmachine = "m"\nseeds = [1, 2]\n[expected."test/x"]\nmean = 1.0\nper_seed ='
            " [1.0]\ntolerance = 0.1\n"
        ),
        "test/x: per_seed needs one score for each of recorded.seeds",
    ),
}


@pytest.mark.parametrize("slip", EXPERIMENT_SLIPS)
def test_a_slip_in_an_experiment_is_one_line(slip, project, monkeypatch, capsys):
    edit, part = EXPERIMENT_SLIPS[slip]
    check_slip(project / "experiments" / "one.toml", edit, part, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (
            b"\xef\xbb\xbf" + EXPERIMENT.encode(),
            "line 1, column 1: starts with a byte order mark: save the file as UTF-8 without one",
        ),
        (
            b"# one\n# Gr\xfc\xdfe\n" + EXPERIMENT.encode(),
            "line 2: byte 0xfc is not UTF-8: save the file as UTF-8",
        ),
        (EXPERIMENT.encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
        (b"", "model is missing"),
        (b"model = [1,", "not valid TOML"),
        (b'model = "a\x00b"', "line 1, column "),
    ],
)
def test_bytes_that_are_no_toml(data, part, project, monkeypatch, capsys):
    (project / "experiments" / "one.toml").write_bytes(data)
    code, _, err = run(monkeypatch, capsys, "check")
    assert code == 1 and part in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (
            ["best", "ome"],
            "experiments/ome.toml: no such file; did you mean one?; experiments/ contains: one",
        ),
        (["study", "zzz"], "studies/zzz.toml: no such file; studies/ contains: one"),
        (["best", "elsewhere/one.toml"], "elsewhere/one.toml: no such file; did you mean one?"),
        (["best", "folder.toml"], "folder.toml: is a folder, not a file"),
        (["best", "odd name.toml"], "odd name.toml: a file name may contain only letters, digits, _ and -"),
        (["study", "one", "--experiment", "none"], "experiments/none.toml: no such file; did you mean one?"),
    ],
)
def test_a_file_that_is_not_there(words, part, project, monkeypatch, capsys):
    (project / "folder.toml").mkdir()
    (project / "odd name.toml").write_text(EXPERIMENT, encoding="utf-8")
    code, _, err = run(monkeypatch, capsys, *words)
    assert code == 2 and part in err and err.count("\n") == 1


def test_names_leave_out_folders_and_hidden_files(project):
    (project / "experiments" / "folder.toml").mkdir()
    (project / "experiments" / ".#one.toml").write_text("lock of an editor", encoding="utf-8")
    assert config.names("experiments") == ["one"]


# ---------------------------------------------------------------- a family outside the project


OUTSIDE_SETTINGS = """\
from audiomtl.settings.shared import Experiment

class Settings(Experiment):
    width: int

SCORES = {"accuracy": "maximize"}
"""
OUTSIDE = """\
model = "outside_lab.tiny"
description = "d"
seeds = [1]
study_seed = 0
width = 3
[limits]
seconds = 1.0
memory_megabytes = 1
"""


def test_a_family_outside_the_project(project, monkeypatch, capsys):
    for name, text in {
        "tiny": OUTSIDE_SETTINGS,
        "broken": "import no_such_library_anywhere\n",
        "none": "",
    }.items():
        folder = project / "outside_lab" / name
        folder.mkdir(parents=True)
        (folder / "settings.py").write_text(text, encoding="utf-8")
        (folder / "model.py").write_text("def train():\n    return 'trained'\n", encoding="utf-8")
    top = OUTSIDE
    experiment = project / "experiments" / "one.toml"
    experiment.write_text(top, encoding="utf-8")
    study = (
        re.split("(?m)^optimizer", STUDY)[0]
        .replace("phone_error_rate", "accuracy")
        .replace("minimize", "maximize", 1)
    )
    (project / "studies" / "one.toml").write_text(study + "width = { low = 1, high = 9 }\n", encoding="utf-8")
    assert "is outside_lab installed, or on PYTHONPATH?" in run(monkeypatch, capsys, "check")[2]
    monkeypatch.syspath_prepend(project)
    assert run(monkeypatch, capsys, "check") == (0, "1 experiment and 1 study are valid\n", "")
    file = config.load_experiment("one")
    assert type(file.settings).__module__ == "outside_lab.tiny.settings" and file.settings.width == 3  # type: ignore[attr-defined]
    assert config.family("model", "outside_lab.tiny").train() == "trained"
    experiment.write_text(top.replace("width = 3", 'width = "3"'), encoding="utf-8")
    assert 'experiments/one.toml: width = "3": must be a whole number' in run(monkeypatch, capsys, "check")[2]
    experiment.write_text(top.replace("tiny", "broken"), encoding="utf-8")
    # a bug in the family is no slip in the file
    with pytest.raises(ModuleNotFoundError, match="no_such_library_anywhere"):
        config.load_experiment("one")
    experiment.write_text(top.replace("tiny", "none"), encoding="utf-8")
    assert (
        'model = "outside_lab.none": outside_lab.none.settings is not a family'
        in run(monkeypatch, capsys, "check")[2]
    )
