"""Settings files: every slip is told in one line that a newcomer can act on; edits in place keep every other byte."""

import copy
import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomtl import cli, config
from audiomtl.errors import UserError
from audiomtl.settings.study import Dimension

PROJECT = Path(__file__).parents[1]
SHIPPED = (PROJECT / "experiments" / "quickstart.toml").read_text(encoding="utf-8")
EXPERIMENT = re.split(r"^\[(?:ablation|expected)", SHIPPED, flags=re.MULTILINE)[0] + '[ablation.unscaled]\nfeatures.scaling = "none"\n'
STUDY = """\
experiment = "one"
description = "A study."
metric = "validation/phone_error_rate"
direction = "minimize"
prune_on = "validation/loss"
prune_direction = "minimize"
prune_after_epochs = 3
trials = 8
sampler_seed = 1

[search]
optimizer.learning_rate = { low = 1e-4, high = 1.0, log = true }
optimizer.name = { choices = ["sgd", "adam", "rmsprop"] }
optimizer.momentum = { low = 0.0, high = 0.99, when = { "optimizer.name" = ["sgd"] } }
"""

Edit = Callable[[str], str]


def put(path: str, value: str) -> Edit:
    """Replace the value at a setting path, in its line."""
    table, _, key = path.rpartition(".")

    def edit(text: str) -> str:
        section, lines, done = "", text.splitlines(), 0
        for index, line in enumerate(lines):
            if found := re.match(r"\[(.*)\]", line):
                section = found[1]
            elif section == table and re.match(rf"{re.escape(key)}\s*=", line):
                lines[index] = value and f"{key} = {value}"
                done += 1
        assert done == 1, f"{path} is {done} times in the file"
        return "\n".join(lines) + "\n"

    return edit


def drop(path: str) -> Edit:
    return put(path, "")


def add(table: str, line: str) -> Edit:
    """A new line at the beginning of a table; at the top for ``""``."""
    return lambda text: (
        re.sub(rf"(?m)^\[{re.escape(table)}\].*\n", lambda found: found[0] + line + "\n", text) if table else f"{line}\n{text}"
    )


def append(text: str) -> Edit:
    return lambda old: old + text


def search(path: str, value: str, *more: Edit) -> Edit:
    """The study with one more swept setting, in place of its own where it has one."""

    def edit(text: str) -> str:
        kept = [line for line in text.splitlines() if not line.startswith(f"{path} = ")]
        text = "\n".join([*kept, f"{path} = {value}"]) + "\n"
        for one in more:
            text = one(text)
        return text

    return edit


def whole(path: str, of: str, to: str) -> Edit:
    return lambda text: text.replace(of, to, 1)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one experiment and one study, as the current directory."""
    for folder, text in (("experiments", EXPERIMENT), ("studies", STUDY)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    monkeypatch.setattr(sys, "argv", ["audiomtl", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_the_fixture_is_valid(project, monkeypatch, capsys):
    assert run(monkeypatch, capsys, "check") == (0, "1 experiment and 1 study are valid\n", "")


EXPERIMENT_SLIPS: dict[str, tuple[Edit, str]] = {
    "unknown key at the top": (add("", "batch = 3"), "batch = 3: no such setting"),
    "misspelt key at the top": (put("seeds", "[1, 2]\nstudy_sede = 7"), "study_sede = 7: no such setting; did you mean study_seed?"),
    "misspelt key in a table": (
        lambda text: put("network.dropout", "0.1")(text).replace("dropout = 0.1", "dropot = 0.1"),
        "network.dropot = 0.1: no such setting; did you mean network.dropout?",
    ),
    "key in the wrong table": (
        add("features", "clipnorm = 5.0"),
        "features.clipnorm = 5.0: no such setting; did you mean optimizer.clipnorm?",
    ),
    "misspelt key of a data set": (add("data", "speekers = 3"), "data.speekers = 3: no such setting; did you mean data.speakers?"),
    "misspelt table": (lambda text: text.replace("[limits]", "[limit]"), "limit: no such setting; did you mean limits?"),
    "two unknown keys": (add("network", "aaa = 1\nbbb = 2"), "network.aaa = 1: no such setting (and 1 more)"),
    "missing key": (drop("optimizer.decay"), "optimizer.decay is missing; add it"),
    "missing key of a data set": (drop("data.clips"), "data.clips is missing; add it"),
    "missing model": (drop("model"), 'model is missing; name the family, such as model = "ctc"'),
    "misspelt model key": (lambda text: text.replace("model =", "modle ="), "model is missing; is it modle?"),
    "missing data set": (drop("data.dataset"), 'data.dataset is missing: it must be one of "emodb", "german_speech"'),
    "unknown data set": (
        put("data.dataset", '"german_speach"'),
        'data.dataset = "german_speach": must be one of "german_speech", "emodb"; did you mean german_speech?',
    ),
    "data set as a number": (put("data.dataset", "3"), 'data.dataset = 3: must be one of "german_speech", "emodb"'),
    "text for a whole number": (put("training.epochs", '"12"'), 'training.epochs = "12": must be a whole number'),
    "decimal for a whole number": (put("training.epochs", "12.0"), "training.epochs = 12.0: must be a whole number"),
    "true for a whole number": (put("training.batch_size", "true"), "training.batch_size = true: must be a whole number"),
    "one for true": (put("optimizer.nesterov", "1"), "optimizer.nesterov = 1: must be true or false"),
    "text for a number": (put("optimizer.learning_rate", '"0.1"'), 'optimizer.learning_rate = "0.1": must be a number'),
    "true for a number": (put("optimizer.learning_rate", "true"), "optimizer.learning_rate = true: must be a number"),
    "nan": (put("optimizer.decay", "nan"), "optimizer.decay = nan: must be a finite number"),
    "inf": (put("limits.seconds", "inf"), "limits.seconds = inf: must be a finite number"),
    "minus inf in an ablation": (
        append("features.floor_db = -inf\n"),
        "ablation.unscaled.features.floor_db = -inf: must be a finite number",
    ),
    "number for text": (put("description", "3"), "description = 3: must be text in quotes"),
    "text for a list": (put("data.groups", '"speaker"'), 'data.groups = "speaker": must be a list in square brackets'),
    "text in a list of numbers": (put("seeds", '[1, "2"]'), 'seeds[1] = "2": must be a whole number'),
    "text in a data set's list": (put("data.test_values", '["a", 1]'), 'data.test_values[0] = "a": must be a whole number'),
    "empty list": (put("network.units", "[]"), "network.units = []: needs at least 1"),
    "number for a table": (lambda text: re.sub(r"(?ms)^\[limits\].*?^$", "", "limits = 3\n" + text), "limits = 3: must be a table"),
    "out of range below": (put("optimizer.learning_rate", "0.0"), "optimizer.learning_rate = 0.0: must be greater than 0"),
    "out of range above": (put("network.dropout", "1.0"), "network.dropout = 1.0: must be less than 1"),
    "count of zero": (put("training.epochs", "0"), "training.epochs = 0: must be at least 1"),
    "wrong word": (put("network.cell", '"lstmm"'), 'network.cell = "lstmm": must be one of "lstm", "gru"; did you mean lstm?'),
    "two settings that disagree": (
        put("features.low_hz", "9000.0"),
        "features: low_hz < high_hz <= sample_rate / 2 must hold, but got low_hz=9000.0",
    ),
    "study seed among the seeds": (put("study_seed", "1"), "study_seed must be none of seeds, and seeds must differ"),
    "several faults": (
        lambda text: put("network.dropout", "2")(put("training.epochs", "0")(text)),
        "network.dropout = 2: must be less than 1 (and 1 more)",
    ),
    "unknown family": (
        put("model", '"ctcc"'),
        'model = "ctcc": no module audiomtl.settings.ctcc; did you mean ctc?; families here: baseline, ctc, fusion, mil',
    ),
    "a file that is no family": (put("model", '"shared"'), 'model = "shared": audiomtl.settings.shared is no family'),
    "absent family outside": (put("model", '"no_such.thing"'), "no module no_such.settings.thing; is no_such installed, or on PYTHONPATH?"),
    "nonsense for a family": (put("model", '"../x y"'), 'model = "../x y": no module'),
    "number for a family": (put("model", "3"), "model = 3: must be the name of a family in quotes"),
    "no value": (put("network.dropout", " "), "not valid TOML"),
    "text without quotes": (put("network.cell", "lstm"), 'text needs quotes, true and false are lower case: "cell = lstm"'),
    "unclosed list": (put("seeds", "[1, 2"), "not valid TOML"),
    "key twice": (add("network", "dropout = 0.3"), "not valid TOML: this key is given twice"),
    "table twice": (append("[network]\n"), "not valid TOML: the table network is given twice"),
    "unknown path in an ablation": (
        append('[ablation.x]\nfeatures.scalling = "none"\n'),
        'ablation.x.features.scalling = "none": no such setting; did you mean features.scaling?',
    ),
    "wrong table in an ablation": (append("[ablation.x]\nfeatures.dropout = 0.0\n"), "did you mean network.dropout?"),
    "wrong value in an ablation": (
        append("[ablation.x]\nnetwork.dropout = 1.5\n"),
        "ablation.x: network.dropout = 1.5: must be less than 1",
    ),
    "ablation of a whole table": (append('[ablation.x]\noptimizer = "adam"\n'), 'ablation.x.optimizer = "adam": no such setting'),
    "ablation of what is not trained": (
        append("[ablation.x]\nseeds = [9]\n"),
        "ablation.x.seeds = [9]: seeds changes nothing in a training",
    ),
    "empty ablation": (append("[ablation.x]\n"), "ablation.x: must be a table of setting paths"),
    "empty table in an ablation": (append("[ablation.x.features]\n"), "ablation.x: must be a table of setting paths"),
    "ablation that is no table": (append("[ablation]\nx = 3\n"), "ablation.x: must be a table of setting paths"),
    "ablations that are no tables": (
        lambda text: "ablation = 3\n" + text.split("[ablation")[0],
        "ablation = 3: must be tables, [ablation.NAME] each",
    ),
    "ablation with a bad name": (append('[ablation."a b"]\nnetwork.dropout = 0.0\n'), "ablation.a b: an ablation's name may have letters"),
    "line break in a key": (add("", '"a\\nb" = 1'), "a\\nb = 1: no such setting"),
    "expected that is no table": (add("", "expected = 3"), "expected = 3: must be a table"),
    "expected without its origin": (
        append('[expected."test/x"]\nmean = 1.0\nper_seed = [1.0]\ntolerance = 0.1\n'),
        "expected.recorded is missing; add it",
    ),
    "expected with text": (
        append('[expected.recorded]\nmachine = "m"\nseeds = [1]\n[expected."test/x"]\nmean = "a"\nper_seed = [1.0]\ntolerance = 0.1\n'),
        'expected.test/x.mean = "a": must be a number; remove [expected] and write it anew',
    ),
    "expected with a score too few": (
        append('[expected.recorded]\nmachine = "m"\nseeds = [1, 2]\n[expected."test/x"]\nmean = 1.0\nper_seed = [1.0]\ntolerance = 0.1\n'),
        "test/x: per_seed needs one score for each of recorded.seeds",
    ),
}


@pytest.mark.parametrize("slip", EXPERIMENT_SLIPS)
def test_a_slip_in_an_experiment_is_one_line(slip, project, monkeypatch, capsys):
    edit, part = EXPERIMENT_SLIPS[slip]
    check_slip(project / "experiments" / "one.toml", edit, part, monkeypatch, capsys)


def several(metrics: str, directions: str, *more: Edit) -> Edit:
    """The study judged by several scores in place of its one; "" leaves a list out."""

    def edit(text: str) -> str:
        lines = [f"metrics = {metrics}" if metrics else "", f"directions = {directions}" if directions else ""]
        for one in (drop("metric"), drop("direction"), add("", "\n".join(lines)), *more):
            text = one(text)
        return text

    return edit


BOTH = '["validation/phone_error_rate", "validation/frame_accuracy"]'
STUDY_SLIPS: dict[str, tuple[Edit, str]] = {
    "unknown key": (add("", "trails = 3"), "trails = 3: no such setting; did you mean trials?"),
    "missing key": (drop("sampler_seed"), "sampler_seed is missing; add it"),
    "no trials": (put("trials", "0"), "trials = 0: must be at least 1"),
    "empty search": (lambda text: text.split("[search]")[0] + "[search]\n", "search: needs at least 1"),
    "search that is no table": (lambda text: "search = 3\n" + text.split("[search]")[0], "search = 3: must be a table"),
    "absent experiment": (
        put("experiment", '"ome"'),
        'studies/one.toml: experiment = "ome": experiments/ome.toml: no such file; did you mean one?',
    ),
    "absent ablation": (
        add("", 'ablation = "unscale"'),
        'ablation = "unscale": experiments/one.toml has no such ablation; did you mean unscaled?',
    ),
    "unknown path": (
        search("optimizer.learn_rate", "{ low = 0.1, high = 0.2 }"),
        "search.optimizer.learn_rate: no such setting; did you mean optimizer.learning_rate?",
    ),
    "a whole table": (search("network", '{ choices = ["a"] }'), "search.network: no such setting"),
    "unknown key of a range": (
        search("network.dropout", "{ lo = 0.0, high = 0.5 }"),
        "search.network.dropout.lo = 0.0: no such setting; did you mean search.network.dropout.low?",
    ),
    "a number": (search("network.dropout", "0.3"), "search.network.dropout = 0.3: must be a table"),
    "an empty table": (search("network.dropout", "{}"), "search.network.dropout: needs low and high, or choices"),
    "only when": (
        search("network.dropout", '{ when = { "optimizer.name" = ["sgd"] } }'),
        "search.network.dropout: needs low and high, or choices",
    ),
    "text for low": (search("network.dropout", '{ low = "0", high = 0.5 }'), 'search.network.dropout.low = "0": must be a number'),
    "true for high": (search("network.dropout", "{ low = 0, high = true }"), "search.network.dropout.high = true: must be a number"),
    "one for log": (
        search("network.dropout", "{ low = 0.1, high = 0.2, log = 1 }"),
        "search.network.dropout.log = 1: must be true or false",
    ),
    "a number beside a range": (
        search("network.cell", "3", append("network.dropout = { low = 0.0, high = 0.5 }\n")),
        "search.network.cell = 3: must",
    ),
    "low above high": (
        search("network.dropout", "{ low = 0.5, high = 0.1 }"),
        "search.network.dropout: low < high must hold, but got low=0.5, high=0.1",
    ),
    "low is high": (search("network.dropout", "{ low = 0.5, high = 0.5 }"), "low < high must hold"),
    "inf": (search("network.dropout", "{ low = 0.0, high = inf }"), "search.network.dropout.high = inf: must be a finite number"),
    "nan among choices": (
        search("network.dropout", "{ choices = [0.1, nan] }"),
        "search.network.dropout.choices[1] = nan: must be a finite number",
    ),
    "log from zero": (search("network.dropout", "{ low = 0.0, high = 0.5, log = true }"), "log needs low > 0 and no step, but got low=0.0"),
    "log with step": (search("network.dropout", "{ low = 0.1, high = 0.5, log = true, step = 0.1 }"), "log needs low > 0 and no step"),
    "step of zero": (search("network.dropout", "{ low = 0.1, high = 0.5, step = 0.0 }"), "step must be above 0"),
    "step that misses high": (search("network.dropout", "{ low = 0.1, high = 0.5, step = 0.3 }"), "high must be low and some steps"),
    "low and choices": (search("network.dropout", "{ low = 0.1, choices = [0.1] }"), "choices stand alone"),
    "no choices": (search("network.dropout", "{ choices = [] }"), "choices must be one or more different values"),
    "a choice twice": (search("network.cell", '{ choices = ["gru", "lstm", "gru"] }'), "choices must be one or more different values"),
    "a list twice": (search("network.units", "{ choices = [[64], [64]] }"), "choices must be one or more different values"),
    "a wrong choice": (
        search("network.cell", '{ choices = ["lstm", "rnn"] }'),
        'search.network.cell: choices = "rnn": must be one of "lstm", "gru"',
    ),
    "a wrong list": (
        search("network.units", '{ choices = [[64], ["a"]] }'),
        'search.network.units: choices = ["a"]: network.units[0] = "a": must be a whole number',
    ),
    "high refused": (search("network.dropout", "{ low = 0.0, high = 1.5 }"), "search.network.dropout: high = 1.5: must be less than 1"),
    "low refused": (search("network.dropout", "{ low = -0.5, high = 0.5 }"), "search.network.dropout: low = -0.5: must be at least 0"),
    "decimals for a whole number": (
        search("training.epochs", "{ low = 1, high = 40.5 }"),
        "search.training.epochs: low = 1.0: must be a whole number",
    ),
    "half steps for a whole number": (search("training.epochs", "{ low = 1, high = 40, step = 0.5 }"), "low = 1.0: must be a whole number"),
    "whole numbers for a decimal": (
        search("features.low_hz", "{ low = 20, high = 200 }"),
        "features.low_hz is no whole number, but the range [20, 200] is: write low = 20.0, high = 200.0",
    ),
    "a range of words": (search("network.cell", "{ low = 0, high = 1 }"), 'network.cell = "lstm" is no number: sweep it over choices'),
    "a rule of the table": (
        search("features.high_hz", "{ low = 7000.0, high = 9000.0 }"),
        "search.features.high_hz: high = 9000.0: features: low_hz < high_hz",
    ),
    "trial 0 outside a range": (
        search("network.dropout", "{ low = 0.9, high = 0.95 }"),
        "search.network.dropout: trial 0 is the experiment itself, but its network.dropout = 0.1 is outside [0.9, 0.95]: widen the search",
    ),
    "trial 0 outside choices": (
        search("optimizer.name", '{ choices = ["adam", "rmsprop"] }', lambda text: re.sub("(?m)^optimizer.momentum.*\n", "", text)),
        'optimizer.name = "sgd" is outside choices',
    ),
    "trial 0 between steps": (search("training.epochs", "{ low = 1, high = 1001, step = 100 }"), "is outside [1, 1001] in steps of 100"),
    "seeds": (search("seeds", "{ choices = [[1, 2]] }"), "search.seeds: seeds changes nothing in a training: remove it from the search"),
    "limits": (search("limits.seconds", "{ low = 1.0, high = 900.0 }"), "limits.seconds changes nothing in a training"),
    "the family": (search("model", '{ choices = ["ctc"] }'), "search.model: the family cannot be swept"),
    "the data set": (search("data.dataset", '{ choices = ["german_speech", "emodb"] }'), 'search.data.dataset: choices = "emodb": data.'),
    "when on an unknown path": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = { "network.cel" = ["lstm"] } }'),
        "search.network.dropout: when.network.cel: no such setting; did you mean network.cell?",
    ),
    "when with an impossible value": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = { "network.cell" = ["rnn"] } }'),
        'search.network.dropout: when.network.cell = "rnn": must be one of "lstm", "gru"',
    ),
    "when never true, not swept": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = { "network.cell" = ["gru"] } }'),
        'search.network.dropout: when.network.cell = ["gru"]: is never true: it is "lstm" and is not swept',
    ),
    "when never true, swept": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = { "optimizer.name" = ["adamw"] } }'),
        "is never true: it is swept over choices ['sgd', 'adam', 'rmsprop']",
    ),
    "when that is no list": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = { "optimizer.name" = "sgd" } }'),
        'search.network.dropout.when.optimizer.name = "sgd": must be a list in square brackets',
    ),
    "when that is no table": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = "sgd" }'),
        'search.network.dropout.when = "sgd": must be a table',
    ),
    "when of nothing": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = { "optimizer.name" = [] } }'),
        "when.optimizer.name = []: needs at least 1",
    ),
    "when on itself": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = { "network.dropout" = [0.1] } }'),
        "its `when` goes round in a circle: network.dropout needs network.dropout",
    ),
    "when in a circle": (
        search(
            "network.cell",
            '{ choices = ["lstm", "gru"], when = { "network.dropout" = [0.1] } }',
            append('network.dropout = { low = 0.0, high = 0.5, when = { "network.cell" = ["lstm"] } }\n'),
        ),
        "search.network.cell: its `when` goes round in a circle: network.cell needs network.dropout needs network.cell",
    ),
    "a refused end under when": (
        search(
            "optimizer.global_clipnorm",
            '{ low = 0.0, high = 1.0, when = { "optimizer.name" = ["adam"] } }',
            lambda text: text.split("optimizer.momentum")[0] + text.split("\n")[-2] + "\n",
        ),
        "search.optimizer.global_clipnorm: high = 1.0: optimizer: only one of clipnorm and global_clipnorm",
    ),
    "a condition under which no value is allowed": (
        search(
            "network.time_reduction",
            '{ choices = [1, 2], when = { "network.convolution_filters" = [0] } }',
            append("network.convolution_filters = { choices = [64, 0] }\n"),
        ),
        "search.network.time_reduction: choices = 2: network: time_reduction is the stride of the convolution",
    ),
    "a path twice": (
        append('"optimizer.name" = { choices = ["sgd"] }\n'),
        "search.optimizer.name: is given twice, with and without quotes",
    ),
    "judged on train": (put("metric", '"train/loss"'), 'metric must be a validation score such as "validation/loss", but got "train/loss"'),
    "judged on test": (put("prune_on", '"test/loss"'), "prune_on must be a validation score"),
    "no metric at all": (
        lambda text: drop("direction")(drop("metric")(text)),
        "metric is missing: give metric and direction, or the lists metrics and directions",
    ),
    "one metric and several": (
        add("", f'metrics = {BOTH}\ndirections = ["minimize", "maximize"]'),
        "metric and metrics exclude each other: give metric and direction, or the lists metrics and directions",
    ),
    "a metric and directions": (add("", 'directions = ["minimize", "maximize"]'), "metric and metrics exclude each other"),
    "a metric without its direction": (drop("direction"), "direction is missing: metric needs it"),
    "metrics without directions": (several(BOTH, ""), "directions is missing: metrics needs it"),
    "directions without metrics": (several("", '["minimize", "maximize"]'), "metrics is missing: directions needs it"),
    "one of several": (several('["validation/frame_accuracy"]', '["maximize"]'), "metrics must be two or more different scores"),
    "twice the same": (
        several('["validation/frame_accuracy", "validation/frame_accuracy"]', '["maximize", "maximize"]'),
        "metrics must be two or more different scores",
    ),
    "fewer directions": (several(BOTH, '["minimize"]'), "directions must be one for each of the 2 metrics, but got 1"),
    "a wrong direction of several": (
        several(BOTH, '["minimize", "minimize"]'),
        'directions[1] = "minimize": validation/frame_accuracy must be maximized',
    ),
    "a wrong word of several": (several(BOTH, '["minimize", "max"]'), 'directions[1] = "max": must be one of "minimize", "maximize"'),
    "one of several on test": (
        several('["validation/phone_error_rate", "test/frame_accuracy"]', '["minimize", "maximize"]'),
        'metrics[1] must be a validation score such as "validation/loss", but got "test/frame_accuracy"',
    ),
    "no such score of several": (
        several('["validation/phone_error_rate", "validation/frame_acuracy"]', '["minimize", "maximize"]'),
        'metrics[1] = "validation/frame_acuracy": no such score; did you mean validation/frame_accuracy?',
    ),
    "one of several a loss": (
        search(
            "network.objective",
            '{ choices = ["ctc", "frames"] }',
            several(
                '["validation/phone_error_rate", "validation/loss"]',
                '["minimize", "minimize"]',
                put("prune_on", '"validation/phone_error_rate"'),
            ),
        ),
        'metrics[1] = "validation/loss": losses are not comparable while network.objective is swept',
    ),
    "no such score": (put("metric", '"validation/phone_eror_rate"'), "no such score; did you mean validation/phone_error_rate?"),
    "wrong direction": (put("direction", '"maximize"'), 'direction = "maximize": validation/phone_error_rate must be minimized'),
    "wrong word": (
        put("prune_direction", '"min"'),
        'prune_direction = "min": must be one of "minimize", "maximize"; did you mean minimize?',
    ),
    "metric a loss": (
        search("network.objective", '{ choices = ["ctc", "frames"] }', put("metric", '"validation/loss"')),
        'metric = "validation/loss": losses are not comparable while network.objective is swept',
    ),
    "pruned on a loss": (
        search("network.objective", '{ choices = ["ctc", "frames"] }'),
        'prune_on = "validation/loss": losses are not comparable',
    ),
    "bad TOML": (put("trials", "8 9"), "line 8, column 12: not valid TOML"),
}


@pytest.mark.parametrize("slip", STUDY_SLIPS)
def test_a_slip_in_a_study_is_one_line(slip, project, monkeypatch, capsys):
    edit, part = STUDY_SLIPS[slip]
    check_slip(project / "studies" / "one.toml", edit, part, monkeypatch, capsys)


def check_slip(path: Path, edit: Edit, part: str, monkeypatch: Any, capsys: Any) -> None:
    old = path.read_text(encoding="utf-8")
    new = edit(old)
    assert new != old, "the slip changes nothing"
    path.write_text(new, encoding="utf-8")
    code, out, err = run(monkeypatch, capsys, "check")
    assert code == 2 and out == ""
    assert part in err
    assert err.startswith(f"audiomtl: {path.parent.name}/one.toml: ")  # the file comes first
    assert err.count("\n") == 1 and err.endswith("\n") and len(err) < 400
    for strange in ("Traceback", "pydantic", "Input should", "valid dictionary", "tuple", "NoneType", "german_speech."):
        assert strange not in err


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"\xef\xbb\xbf" + EXPERIMENT.encode(), "line 1, column 1: starts with a byte order mark: save the file as UTF-8 without one"),
        (b"# one\n# Gr\xfc\xdfe\n" + EXPERIMENT.encode(), "line 2: byte 0xfc is not UTF-8: save the file as UTF-8"),
        (EXPERIMENT.encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
        (b"", "model is missing"),
        (b"model = [1,", "not valid TOML"),
        (b'model = "a\x00b"', "line 1, column "),
    ],
)
def test_bytes_that_are_no_toml(data, part, project, monkeypatch, capsys):
    (project / "experiments" / "one.toml").write_bytes(data)
    code, _, err = run(monkeypatch, capsys, "check")
    assert code == 2 and part in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["best", "ome"], "experiments/ome.toml: no such file; did you mean one?; experiments/ here has: one"),
        (["study", "zzz"], "studies/zzz.toml: no such file; studies/ here has: one"),
        (["best", "elsewhere/one.toml"], "elsewhere/one.toml: no such file; did you mean one?"),
        (["best", "folder.toml"], "folder.toml: is a folder, not a file"),
        (["best", "odd name.toml"], "odd name.toml: a file's name may have letters, digits, _ and - only"),
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


# ---------------------------------------------------------------- what is allowed


@pytest.mark.parametrize(
    "edit",
    [
        search("network.units", "{ choices = [[64], [32, 32]] }", lambda text: text.replace("[search]", "[search]  # lists")),
        search("training.epochs", "{ low = 2, high = 1000, log = true }"),
        search("training.epochs", "{ low = 2, high = 1002, step = 2 }"),
        search("optimizer.clipnorm", "{ choices = [0, 5] }"),  # whole numbers are numbers
        search("optimizer.momentum", "{ low = 0.0, high = 0.95, when = { optimizer.name = ['sgd'] } }"),  # dotted, without quotes
        search("features.scaling", '{ choices = ["none", "minmax"] }', put("metric", '"validation/loss"')),
        search(
            "features.scaling",
            '{ choices = ["none", "minmax"] }',
            put("metric", '"validation/frame_accuracy"'),
            put("direction", '"maximize"'),
        ),
        search(  # an end that another swept setting of the table sets right
            "features.high_hz", "{ low = 40.0, high = 8000.0 }", append("features.low_hz = { low = 20.0, high = 5000.0 }\n")
        ),
        search(  # outside its range, but trial 0 does not use it
            "optimizer.weight_decay", '{ low = 1e-5, high = 1e-2, log = true, when = { "optimizer.name" = ["adam"] } }'
        ),
        search(  # allowed only together with its condition
            "optimizer.global_clipnorm",
            '{ low = 0.0, high = 9.0, when = { "optimizer.clipnorm" = [0.0] } }',
            append("optimizer.clipnorm = { choices = [5.0, 0.0] }\n"),
        ),
        add("", 'ablation = "unscaled"'),
    ],
)
def test_a_good_study_passes(edit, project):
    path = project / "studies" / "one.toml"
    path.write_text(edit(STUDY), encoding="utf-8")
    assert config.load_study("one").study.search


def test_quoted_and_dotted_conditions_are_the_same_study(project):
    path = project / "studies" / "one.toml"
    before = config.load_study("one").identity
    path.write_text(STUDY.replace('"optimizer.name" = ["sgd"]', 'optimizer.name = ["sgd"]'), encoding="utf-8")
    assert config.load_study("one").identity == before


@pytest.mark.parametrize(
    ("dimension", "inside", "outside"),
    [
        ({"low": 1, "high": 5}, [1, 3, 5], [0, 6, 2.5, 3.0, True, "3", [3]]),
        ({"low": 0.0, "high": 1.0}, [0.0, 0.5, 1, 1.0], [-0.1, 1.1, True, "0.5"]),
        ({"low": 0.0, "high": 0.9, "step": 0.1}, [0.0, 0.3, 0.7, 0.9], [0.25, 0.95]),
        ({"low": 2, "high": 10, "step": 4}, [2, 6, 10], [4, 8]),
        ({"choices": ["a", [1, 2], 5.0]}, ["a", [1, 2], 5, 5.0], ["b", [1], [2, 1], 4]),
    ],
)
def test_a_dimension_holds_what_it_sweeps(dimension, inside, outside):
    space = Dimension.model_validate(dimension)
    assert [value for value in inside if not space.holds(value)] == []
    assert [value for value in outside if space.holds(value)] == []


def test_conditions_come_first():
    search = {
        "a": Dimension(low=0, high=1, when={"c": [1]}),
        "b": Dimension(low=0, high=1),
        "c": Dimension(low=0, high=1, when={"d": [1], "fixed": [2]}),
        "d": Dimension(low=0, high=1),
    }
    assert config.ordered(search) == ["b", "d", "c", "a"]


# ---------------------------------------------------------------- paths, keys


def test_flatten_and_override_undo_each_other():
    raw = tomllib.loads(EXPERIMENT)
    flat = config.flatten(raw)
    assert flat["ablation.unscaled.features.scaling"] == "none" and flat["seeds"] == raw["seeds"]
    assert config.override({}, flat) == raw


def test_override_leaves_its_argument_alone():
    raw = tomllib.loads(EXPERIMENT)
    kept = copy.deepcopy(raw)
    new = config.override(raw, {"network.dropout": 0.5, "ablation.unscaled.features.scaling": "minmax", "new.table.key": 1})
    assert raw == kept
    assert new["network"]["dropout"] == 0.5 and new["ablation"]["unscaled"]["features"]["scaling"] == "minmax"
    assert new["new"] == {"table": {"key": 1}}
    new["limits"]["seconds"] = "x"
    assert raw == kept


def test_digest_is_of_values_not_of_their_spelling():
    assert config.digest({"a": 5.0, "b": [1e-6, True]}) == config.digest({"b": (1e-6, True), "a": 5})
    assert len({config.digest(value) for value in ({"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": True}, {"a": [1]}, {"b": 1}, {"a": None})}) == 7
    assert config.digest({"a": [1, 2]}) == "0bf464f8d802"  # for good: recorded studies are found by such keys


SAME_STUDY: dict[str, tuple[str, Edit]] = {
    "number of trials": ("studies", put("trials", "99")),
    "description of the study": ("studies", put("description", '"Another."')),
    "description of the experiment": ("experiments", put("description", '"Another."')),
    "reporting seeds": ("experiments", put("seeds", "[7, 8, 9]")),
    "limits": ("experiments", put("limits.seconds", "1.0")),
    "memory": ("experiments", put("limits.memory_megabytes", "9000")),
    "a swept number": ("experiments", put("optimizer.learning_rate", "0.014563004479356975")),
    "a swept choice": ("experiments", put("optimizer.name", '"adam"')),
    "a swept conditional": ("experiments", put("optimizer.momentum", "0.51")),
    "another ablation": ("experiments", append("[ablation.more]\nnetwork.dropout = 0.0\n")),
    "5 for 5.0": ("experiments", put("optimizer.clipnorm", "5")),
    "a comment": ("studies", append("# a comment\n")),
    "order of lines": ("studies", lambda text: text.replace("trials = 8\n", "").replace("[search]", "trials = 8\n[search]")),
}
OTHER_STUDY: dict[str, tuple[str, Edit]] = {
    "metric": ("studies", put("metric", '"validation/loss"')),
    "several metrics": ("studies", several(BOTH, '["minimize", "maximize"]')),
    "prune_on": ("studies", put("prune_on", '"validation/phone_error_rate"')),
    "direction": (
        "studies",
        lambda text: text.replace("phone_error_rate", "frame_accuracy").replace('n = "minimize"', 'n = "maximize"', 1),
    ),
    "prune_after_epochs": ("studies", put("prune_after_epochs", "4")),
    "sampler_seed": ("studies", put("sampler_seed", "2")),
    "a range": ("studies", whole("", "high = 1.0", "high = 0.5")),
    "log": ("studies", whole("", ", log = true", "")),
    "choices": ("studies", whole("", ', "rmsprop"', "")),
    "when": ("studies", whole("", '= ["sgd"] }', '= ["sgd", "rmsprop"] }')),
    "one more path": ("studies", append("network.dropout = { low = 0.0, high = 0.5 }\n")),
    "one path less": ("studies", lambda text: re.sub("(?m)^optimizer.momentum.*\n", "", text)),
    "ablation": ("studies", add("", 'ablation = "unscaled"')),
    "study seed": ("experiments", put("study_seed", "77")),
    "a setting that is not swept": ("experiments", put("network.dropout", "0.123")),
    "a list": ("experiments", put("network.units", "[7, 8]")),
    "data": ("experiments", put("data.corpus_seed", "77")),
    "training": ("experiments", put("training.epochs", "77")),
}


@pytest.mark.parametrize("change", [*SAME_STUDY, *OTHER_STUDY])
def test_the_identity_of_a_study(change, project):
    folder, edit = (SAME_STUDY | OTHER_STUDY)[change]
    before = config.load_study("one").identity
    path = project / folder / "one.toml"
    text = path.read_text(encoding="utf-8")
    assert edit(text) != text
    path.write_text(edit(text), encoding="utf-8")
    after = config.load_study("one")
    assert (after.identity == before) is (change in SAME_STUDY)
    assert re.fullmatch("[0-9a-f]{12}", after.identity)


def test_the_identity_of_a_study_with_several_metrics_is_in_their_order(project):
    path, text = project / "studies" / "one.toml", (project / "studies" / "one.toml").read_text(encoding="utf-8")
    found = []
    for metrics, directions in (
        (BOTH, '["minimize", "maximize"]'),
        ('["validation/frame_accuracy", "validation/phone_error_rate"]', '["maximize", "minimize"]'),
    ):
        path.write_text(several(metrics, directions)(text), encoding="utf-8")
        found.append(config.load_study("one"))
    assert found[0].identity != found[1].identity
    assert list(found[1].study.objectives.items()) == [
        ("validation/frame_accuracy", "maximize"),
        ("validation/phone_error_rate", "minimize"),
    ]
    assert "metric" not in found[0].study.told() and "metrics" in found[0].study.told()


def test_a_second_form_of_judging_left_the_studies_of_the_first_as_they_were(project):
    """Keys that a study does not use are not in its identity: its trials were recorded before there were any."""
    told = config.load_study("one").study.told("trials", "description", "experiment")
    assert sorted(told) == [
        "ablation",
        "direction",
        "metric",
        "prune_after_epochs",
        "prune_direction",
        "prune_on",
        "sampler_seed",
        "search",
    ]


def test_every_untold_setting_counts_in_the_identity(project):
    """Whatever the family's schema has: only swept settings and those that train nothing leave a study as it is."""
    file = config.load_study("one")
    for path, value in config.flatten(file.raw).items():
        raw = config.override(file.raw, {path: "changed" if value != "changed" else "again"})
        other = config.StudyFile(
            file.name, file.path, file.study, config.ExperimentFile("one", file.path, raw, file.experiment.settings, {})
        )
        free = path in file.study.search or path in ("description", "seeds") or path.startswith("limits.")
        assert (other.identity == file.identity) is free, path


def test_two_studies_of_one_text_are_two(project):
    (project / "studies" / "two.toml").write_text(STUDY, encoding="utf-8")
    (project / "experiments" / "two.toml").write_text(EXPERIMENT, encoding="utf-8")
    assert len({config.load_study(*names).identity for names in (("one",), ("two",), ("one", "two"))}) == 3


# ---------------------------------------------------------------- scores that the file names itself


SCENES = (PROJECT / "experiments" / "multitask_scenes.toml").read_text(encoding="utf-8")
SCENES_STUDY = (PROJECT / "studies" / "multitask_scenes.toml").read_text(encoding="utf-8")


@pytest.fixture
def scenes(tmp_path, monkeypatch) -> Callable[..., config.StudyFile]:
    """Write multitask_scenes and its study, edited; the study as it is read."""
    for folder in ("experiments", "studies"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)

    def load(experiment: Edit = str, study: Edit = str) -> config.StudyFile:
        Path("experiments/multitask_scenes.toml").write_text(experiment(SCENES), encoding="utf-8")
        Path("studies/multitask_scenes.toml").write_text(study(SCENES_STUDY), encoding="utf-8")
        return config.load_study("multitask_scenes")

    return load


def test_a_table_of_scores_decides_what_is_reported(scenes):
    file = scenes()
    assert list(config.scores(file.raw)) == list(file.experiment.settings.scores)
    first = next(iter(file.experiment.settings.scores))
    other = scenes(add("scores", 'activity_loss = "minimize"'))
    assert next(iter(config.scores(other.raw))) == "activity_loss" != first
    assert config.scores({"model": "ctc"}) == config.family("settings", "ctc").SCORES  # the family's, where the file names none


def test_a_table_of_scores_is_no_part_of_what_is_trained(scenes):
    """The same trainings and the same study, whatever is reported of them."""
    file, other = scenes(), scenes(add("scores", 'activity_loss = "minimize"'))
    assert config.scored_settings(file.raw) == config.trained_settings(other.raw) and file.identity == other.identity
    assert not [path for path in config.scored_settings(file.raw) if path.startswith("scores")]
    assert "heads.event.weight" in config.scored_settings(file.raw)
    with pytest.raises(UserError, match=r"scores\.event_accuracy changes nothing in a training: remove it from the search"):
        scenes(study=append('scores.event_accuracy = { choices = ["maximize", "minimize"] }\n'))


@pytest.mark.parametrize(
    ("swept", "space"),
    [
        ("heads.activity.weight", "{ low = 0.1, high = 3.0, log = true }"),
        ("heads.event.weight", "{ low = 0.1, high = 3.0 }"),
        ("coupling.agreement.weight", "{ choices = [0.0, 1.0] }"),
        ("balancing.method", '{ choices = ["fixed", "uncertainty"] }'),
    ],
)
def test_a_loss_does_not_judge_where_its_own_weights_are_swept(swept, space, scenes):
    def only(text: str) -> str:
        return re.split(r"(?m)^\[search\]", text)[0] + f"[search]\n{swept} = {space}\n"

    def by_loss(text: str) -> str:
        return put("direction", '"minimize"')(put("metric", '"validation/loss"')(only(text)))

    assert scenes(study=only).study.search.keys() == {swept}
    with pytest.raises(UserError, match=f"losses are not comparable while {re.escape(swept)} is swept"):
        scenes(study=by_loss)
    swept = "optimizer.learning_rate"
    space = "{ low = 1e-5, high = 1e-1, log = true }"
    assert scenes(study=by_loss).study.metric == "validation/loss"  # nothing that a loss is made of


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
    for floor, text in {
        "settings": OUTSIDE_SETTINGS,
        "models": "def train():\n    return 'trained'\n",
    }.items():
        folder = project / "outside_lab" / floor
        folder.mkdir(parents=True)
        (folder / "tiny.py").write_text(text, encoding="utf-8")
        (folder / "broken.py").write_text("import no_such_library_anywhere\n", encoding="utf-8")
    top = OUTSIDE
    experiment = project / "experiments" / "one.toml"
    experiment.write_text(top, encoding="utf-8")
    study = re.split("(?m)^optimizer", STUDY)[0].replace("phone_error_rate", "accuracy").replace("minimize", "maximize", 1)
    (project / "studies" / "one.toml").write_text(study + "width = { low = 1, high = 9 }\n", encoding="utf-8")
    assert "is outside_lab installed, or on PYTHONPATH?" in run(monkeypatch, capsys, "check")[2]
    monkeypatch.syspath_prepend(project)
    assert run(monkeypatch, capsys, "check") == (0, "1 experiment and 1 study are valid\n", "")
    file = config.load_experiment("one")
    assert type(file.settings).__module__ == "outside_lab.settings.tiny" and file.settings.width == 3  # type: ignore[attr-defined]
    assert config.family("models", "outside_lab.tiny").train() == "trained"
    experiment.write_text(top.replace("width = 3", 'width = "3"'), encoding="utf-8")
    assert 'experiments/one.toml: width = "3": must be a whole number' in run(monkeypatch, capsys, "check")[2]
    experiment.write_text(top.replace("tiny", "broken"), encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="no_such_library_anywhere"):  # a bug in the family is no slip in the file
        config.load_experiment("one")


# ---------------------------------------------------------------- editing

EXACT = """\
# what it is
seeds = [ 1,2 ]   # kept as it stands
name    = 'single quotes'  # comment

[optimizer]          # of all layers
learning_rate = 0.02     # up to 0.1
  clipnorm=5             # no space, indented
nesterov = true
decay = 1e-6

units = [
    64,   # first
    32,
]

# about the ablation
[ablation.adam]  # as good as it gets
optimizer.name = "adam"   # the point
features.scaling = "none"

# about the next one
[ablation.frames]
network.objective = "frames"
"""


@pytest.mark.parametrize(
    ("table", "values", "old", "new"),
    [
        ("", {"optimizer.learning_rate": 0.014563004479356975}, "= 0.02     #", "= 0.014563004479356975     #"),
        ("", {"optimizer.learning_rate": 1e-6}, "= 0.02 ", "= 1e-6 "),
        ("", {"optimizer.learning_rate": 3e22}, "= 0.02 ", "= 3e22 "),
        ("", {"optimizer.clipnorm": 0.0}, "  clipnorm=5   ", "  clipnorm=0.0   "),
        ("", {"optimizer.nesterov": False}, "nesterov = true", "nesterov = false"),
        ("", {"optimizer.decay": 0}, "decay = 1e-6", "decay = 0"),
        ("", {"name": 'a "quoted" word'}, "'single quotes'  #", '"a \\"quoted\\" word"  #'),
        ("", {"seeds": [3, 4, 5]}, "[ 1,2 ]   #", "[3, 4, 5]   #"),
        ("", {"optimizer.units": [100, 100]}, "[\n    64,   # first\n    32,\n]", "[100, 100]"),
        ("ablation.adam", {"optimizer.name": "sgd"}, '"adam"   #', '"sgd"   #'),
        ("ablation.adam", {"features.scaling": "minmax"}, 'scaling = "none"', 'scaling = "minmax"'),
        ("ablation.frames", {"network.objective": "ctc"}, '"frames"\n', '"ctc"\n'),
        # new lines: below their siblings, else last in the table, before the comment that belongs to the next
        ("ablation.adam", {"optimizer.learning_rate": 1e-3}, "# the point\n", "# the point\noptimizer.learning_rate = 0.001\n"),
        ("ablation.adam", {"network.units": [64]}, 'scaling = "none"\n', 'scaling = "none"\nnetwork.units = [64]\n'),
        ("ablation.frames", {"optimizer.nesterov": False}, 'objective = "frames"\n', 'objective = "frames"\noptimizer.nesterov = false\n'),
        (
            "ablation.adam",
            {"optimizer.learning_rate": 0.5, "optimizer.decay": 0.0},
            "# the point\n",
            "# the point\noptimizer.decay = 0.0\noptimizer.learning_rate = 0.5\n",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_edit_keeps_every_other_byte(table, values, old, new, end):
    assert EXACT.count(old) == 1
    assert config.edit(EXACT.replace("\n", end), values, table) == EXACT.replace(old, new).replace("\n", end)


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ('[ablation.a.optimizer]\nname = "adam"', '[ablation.a.optimizer]\nname = "adam"\ndecay = 0.5\n'),
        ('[ablation.a.optimizer]\nname = "adam"\n[b]\n', '[ablation.a.optimizer]\nname = "adam"\ndecay = 0.5\n[b]\n'),
        ('[ablation]\na.optimizer.name = "adam"\n', '[ablation]\na.optimizer.name = "adam"\na.optimizer.decay = 0.5\n'),
        ("[ ablation.a ] # x\nu = [\n  [1],\n  [2],\n]\n", "[ ablation.a ] # x\nu = [\n  [1],\n  [2],\n]\noptimizer.decay = 0.5\n"),
        ("[ablation.a]\n\n[b]\n", "[ablation.a]\noptimizer.decay = 0.5\n\n[b]\n"),
    ],
)
def test_a_new_key_finds_its_table(text, new):
    assert config.edit(text, {"optimizer.decay": 0.5}, "ablation.a") == new


def test_an_edit_that_cannot_be_is_refused():
    with pytest.raises(UserError, match=r"ablation.a.optimizer.decay = 0.5: found no place for this line: write it into the file by hand"):
        config.edit("ablation = { a = { x = 3 } }\n", {"optimizer.decay": 0.5}, "ablation.a")
    with pytest.raises(UserError, match="must be a number, text"):
        config.edit("a = 1\n", {"a": None})


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), FINITE, st.text(st.characters(exclude_categories=["Cs"])))
VALUES = st.one_of(
    SCALARS, st.lists(st.integers(-9, 9), max_size=4), st.lists(FINITE, max_size=3), st.lists(st.text("aß\"\\'\n#=[]"), max_size=3)
)
PATHS = sorted(config.flatten({key: value for key, value in tomllib.loads(EXPERIMENT).items() if key != "ablation"}))


@given(st.dictionaries(st.sampled_from(PATHS), VALUES, max_size=5), st.sampled_from(["", "ablation.unscaled"]))
def test_what_is_edited_reads_back(values, table):
    old = tomllib.loads(EXPERIMENT)
    # lines end with \n alone: Python would also split at U+0085 and its like, which TOML has in a text as they are
    new = config.edit(EXPERIMENT, values, table)
    wanted = config.override(old, {f"{table}.{path}" if table else path: value for path, value in values.items()})
    assert json.dumps(tomllib.loads(new), sort_keys=True) == json.dumps(wanted, sort_keys=True)  # of the same types, too
    assert [line for line in EXPERIMENT.split("\n") if line.startswith("#")] == [line for line in new.split("\n") if line.startswith("#")]
    assert all(line[0] not in " \t" for line in new.split("\n") if line)
    if not table:  # nothing but the changed lines changes
        assert len(new.split("\n")) == len(EXPERIMENT.split("\n"))
        touched = {path.rpartition(".")[2] for path in values}
        pairs = zip(EXPERIMENT.split("\n"), new.split("\n"), strict=True)
        assert {before.split(" ")[0] for before, after in pairs if before != after} <= touched
