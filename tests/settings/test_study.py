"""Study files: every slip is told in one line that a newcomer can act on."""

import re

import pytest

from tests.settings.files import BOTH, Edit, add, append, check_slip, drop, put, search, several


def judged(lines: str) -> Edit:
    """A table ``[judge]`` with some lines."""
    return lambda text: text.replace("\n[search]", f"\n[judge]\n{lines}\n\n[search]")


STUDY_SLIPS: dict[str, tuple[Edit, str]] = {
    "unknown key": (add("", "trails = 3"), "trails = 3: no such setting; did you mean trials?"),
    "missing key": (drop("sampler_seed"), "sampler_seed is missing; add it"),
    "no trials": (put("trials", "0"), "trials = 0: must be at least 1"),
    "too few trials for its sampler": (
        put("sampler", '"tpe"'),
        'studies/one.toml: trials = 8: sampler = "tpe" needs at least 20 trials',
    ),
    "a range that is no grid": (
        put("sampler", '"grid"'),
        'search.optimizer.learning_rate: sampler = "grid" needs choices',
    ),
    "no rule for early stopping": (
        lambda text: drop("prune_after_epochs")(drop("prune_direction")(drop("prune_on")(text))),
        "prune_on is missing: trials of one training need prune_on, prune_direction and prune_after_epochs",
    ),
    "half a rule for early stopping": (
        drop("prune_after_epochs"),
        "prune_after_epochs is missing: prune_on needs it",
    ),
    "one training of several": (
        judged('over = "one"\nn = 2'),
        'n must be left out with over = "one", but got 2: use over = "folds" or "seeds"',
    ),
    "seeds without a number": (judged('over = "seeds"'), 'n is missing: over = "seeds" needs a number'),
    "one fold": (judged('over = "folds"\nn = 1'), 'n must be at least 2 with over = "folds", but got 1'),
    "an unknown way to judge": (judged('over = "fold"'), 'judge.over = "fold": must be'),
    "a swept split": (
        search("protocol.inner_fold", "{ low = 0, high = 2 }"),
        "search.protocol.inner_fold: the split cannot be swept",
    ),
    "empty search": (
        lambda text: text.split("[search]")[0] + "[search]\n",
        "search: must have a length of at least 1",
    ),
    "search that is no table": (
        lambda text: "search = 3\n" + text.split("[search]")[0],
        "search = 3: must be a table",
    ),
    "absent experiment": (
        put("experiment", '"ome"'),
        'studies/one.toml: experiment = "ome": experiments/ome.toml: no such file; did you mean one?',
    ),
    "absent ablation": (
        add("", 'ablation = "unscale"'),
        'ablation = "unscale": no such ablation in experiments/one.toml; did you mean unscaled?',
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
    "an empty table": (
        search("network.dropout", "{}"),
        "search.network.dropout: needs low and high, or choices",
    ),
    "only when": (
        search("network.dropout", '{ when = { "optimizer.name" = ["sgd"] } }'),
        "search.network.dropout: needs low and high, or choices",
    ),
    "text for low": (
        search("network.dropout", '{ low = "0", high = 0.5 }'),
        'search.network.dropout.low = "0": must be a number',
    ),
    "true for high": (
        search("network.dropout", "{ low = 0, high = true }"),
        "search.network.dropout.high = true: must be a number",
    ),
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
    "inf": (
        search("network.dropout", "{ low = 0.0, high = inf }"),
        "search.network.dropout.high = inf: must be a finite number",
    ),
    "nan among choices": (
        search("network.dropout", "{ choices = [0.1, nan] }"),
        "search.network.dropout.choices[1] = nan: must be a finite number",
    ),
    "log from zero": (
        search("network.dropout", "{ low = 0.0, high = 0.5, log = true }"),
        "log needs low > 0 and no step, but got low=0.0",
    ),
    "log with step": (
        search("network.dropout", "{ low = 0.1, high = 0.5, log = true, step = 0.1 }"),
        "log needs low > 0 and no step",
    ),
    "step of zero": (
        search("network.dropout", "{ low = 0.1, high = 0.5, step = 0.0 }"),
        "step must be above 0",
    ),
    "step that misses high": (
        search("network.dropout", "{ low = 0.1, high = 0.5, step = 0.3 }"),
        "step must divide high - low",
    ),
    "low and choices": (
        search("network.dropout", "{ low = 0.1, choices = [0.1] }"),
        "choices cannot be combined",
    ),
    "no choices": (
        search("network.dropout", "{ choices = [] }"),
        "choices must be one or more different values",
    ),
    "a choice twice": (
        search("network.cell", '{ choices = ["gru", "lstm", "gru"] }'),
        "choices must be one or more different values",
    ),
    "a list twice": (
        search("network.units", "{ choices = [[64], [64]] }"),
        "choices must be one or more different values",
    ),
    "a wrong choice": (
        search("network.cell", '{ choices = ["lstm", "rnn"] }'),
        'search.network.cell: choices = "rnn": must be one of "lstm", "gru"',
    ),
    "a wrong list": (
        search("network.units", '{ choices = [[64], ["a"]] }'),
        'search.network.units: choices = ["a"]: network.units[0] = "a": must be a whole number',
    ),
    "high refused": (
        search("network.dropout", "{ low = 0.0, high = 1.5 }"),
        "search.network.dropout: high = 1.5: must be less than 1",
    ),
    "low refused": (
        search("network.dropout", "{ low = -0.5, high = 0.5 }"),
        "search.network.dropout: low = -0.5: must be at least 0",
    ),
    "decimals for a whole number": (
        search("training.epochs", "{ low = 1, high = 40.5 }"),
        "search.training.epochs: low = 1.0: must be a whole number",
    ),
    "half steps for a whole number": (
        search("training.epochs", "{ low = 1, high = 40, step = 0.5 }"),
        "low = 1.0: must be a whole number",
    ),
    "whole numbers for a decimal": (
        search("features.low_hz", "{ low = 20, high = 200 }"),
        "features.low_hz is not a whole number, but the range [20, 200] is: write low = 20.0, high = 200.0",
    ),
    "a range of words": (
        search("network.cell", "{ low = 0, high = 1 }"),
        'network.cell = "lstm" is not a number: sweep it over choices',
    ),
    "a rule of the table": (
        search("features.high_hz", "{ low = 7000.0, high = 9000.0 }"),
        "search.features.high_hz: high = 9000.0: features: low_hz < high_hz",
    ),
    "trial 0 outside a range": (
        search("network.dropout", "{ low = 0.9, high = 0.95 }"),
        (
            "search.network.dropout: trial 0 has the settings of the experiment, but network.dropout = 0.1 is"
            " outside [0.9, 0.95]: widen the search"
        ),
    ),
    "trial 0 outside choices": (
        search(
            "optimizer.name",
            '{ choices = ["adam", "rmsprop"] }',
            lambda text: re.sub("(?m)^optimizer.momentum.*\n", "", text),
        ),
        'optimizer.name = "sgd" is outside choices',
    ),
    "trial 0 between steps": (
        search("training.epochs", "{ low = 1, high = 1001, step = 100 }"),
        "is outside [1, 1001] in steps of 100",
    ),
    "seeds": (
        search("seeds", "{ choices = [[1, 2]] }"),
        "search.seeds: seeds does not affect training: remove it from the search",
    ),
    "limits": (
        search("limits.seconds", "{ low = 1.0, high = 900.0 }"),
        "limits.seconds does not affect training",
    ),
    "the family": (search("model", '{ choices = ["ctc"] }'), "search.model: the family cannot be swept"),
    "the data set": (
        search("data.dataset", '{ choices = ["german_speech", "emodb"] }'),
        'search.data.dataset: choices = "emodb": data.',
    ),
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
        "when.optimizer.name = []: must have a length of at least 1",
    ),
    "when on itself": (
        search("network.dropout", '{ low = 0.0, high = 0.5, when = { "network.dropout" = [0.1] } }'),
        "its `when` is circular: network.dropout needs network.dropout",
    ),
    "when in a circle": (
        search(
            "network.cell",
            '{ choices = ["lstm", "gru"], when = { "network.dropout" = [0.1] } }',
            append('network.dropout = { low = 0.0, high = 0.5, when = { "network.cell" = ["lstm"] } }\n'),
        ),
        (
            "search.network.cell: its `when` is circular: network.cell needs network.dropout needs"
            " network.cell"
        ),
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
        (
            "search.network.time_reduction: choices = 2: network: time_reduction is the stride of the"
            " convolution"
        ),
    ),
    "a path twice": (
        append('"optimizer.name" = { choices = ["sgd"] }\n'),
        "search.optimizer.name: is given twice, once with and once without quotes",
    ),
    "judged on train": (
        put("metric", '"train/loss"'),
        'metric must be a validation score such as "validation/loss", but got "train/loss"',
    ),
    "judged on test": (put("prune_on", '"test/loss"'), "prune_on must be a validation score"),
    "no metric at all": (
        lambda text: drop("direction")(drop("metric")(text)),
        "metric is missing: give metric and direction, or the lists metrics and directions",
    ),
    "one metric and several": (
        add("", f'metrics = {BOTH}\ndirections = ["minimize", "maximize"]'),
        (
            "metric and metrics exclude each other: give metric and direction, or the lists metrics and"
            " directions"
        ),
    ),
    "a metric and directions": (
        add("", 'directions = ["minimize", "maximize"]'),
        "metric and metrics exclude each other",
    ),
    "a metric without its direction": (drop("direction"), "direction is missing: metric needs it"),
    "metrics without directions": (several(BOTH, ""), "directions is missing: metrics needs it"),
    "directions without metrics": (
        several("", '["minimize", "maximize"]'),
        "metrics is missing: directions needs it",
    ),
    "one of several": (
        several('["validation/frame_accuracy"]', '["maximize"]'),
        "metrics must be two or more different scores",
    ),
    "twice the same": (
        several('["validation/frame_accuracy", "validation/frame_accuracy"]', '["maximize", "maximize"]'),
        "metrics must be two or more different scores",
    ),
    "fewer directions": (
        several(BOTH, '["minimize"]'),
        "directions must have one entry for each of the 2 metrics, but got 1",
    ),
    "a wrong direction of several": (
        several(BOTH, '["minimize", "minimize"]'),
        'directions[1] = "minimize": validation/frame_accuracy must be maximized',
    ),
    "a wrong word of several": (
        several(BOTH, '["minimize", "max"]'),
        'directions[1] = "max": must be one of "minimize", "maximize"',
    ),
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
    "no such score": (
        put("metric", '"validation/phone_eror_rate"'),
        "no such score; did you mean validation/phone_error_rate?",
    ),
    "wrong direction": (
        put("direction", '"maximize"'),
        'direction = "maximize": validation/phone_error_rate must be minimized',
    ),
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
