"""A training watches a score that exists, in its own direction."""

from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from tests.settings.files import EXPERIMENT, STUDY, put

PROJECT = Path(__file__).parents[2]


def refused(tmp_path, monkeypatch, text: str, load=config.load_experiment) -> str:
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    Path("experiments/one.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        load("one")
    return str(error.value)


EMODB = (
    (PROJECT / "experiments" / "multitask_emodb.toml").read_text(encoding="utf-8").partition("[ablation")[0]
)


@pytest.mark.parametrize(
    ("text", "edit", "said"),
    [
        (
            EXPERIMENT,
            put("training.monitor_direction", '"maximize"'),
            'training.monitor_direction = "maximize": validation/phone_error_rate is better when it is lower',
        ),
        (
            EXPERIMENT.replace("validation/phone_error_rate", "validation/loss"),
            put("training.monitor_direction", '"maximize"'),
            'validation/loss is better when it is lower, so the worst epoch would be kept; write "minimize"',
        ),
        (
            EXPERIMENT,
            put("training.monitor", '"validation/phone_eror_rate"'),
            "no such score; did you mean validation/phone_error_rate?; ctc has validation/phone_error_rate,",
        ),
        (
            EMODB,
            put("training.monitor", '"validation/emotoin_accuracy"'),
            "no such score; did you mean validation/emotion_accuracy?",
        ),
        (
            EMODB,
            put("scores.emotion_accuracy", '"minimize"'),
            'scores.emotion_accuracy = "minimize": this score is better when it is higher; write "maximize"',
        ),
        (
            EXPERIMENT + 'training.monitor_direction = "maximize"\n',
            lambda text: text,
            'ablation.unscaled: training.monitor_direction = "maximize"',
        ),
    ],
)
def test_a_score_that_cannot_be_watched_is_refused(text, edit, said, tmp_path, monkeypatch):
    assert said in refused(tmp_path, monkeypatch, edit(text))


def test_a_swept_direction_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, text in (
        ("experiments", EXPERIMENT),
        ("studies", STUDY + 'training.monitor_direction = { choices = ["minimize", "maximize"] }\n'),
    ):
        Path(folder).mkdir()
        Path(folder, "one.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r'search: training.monitor_direction = "maximize": .* lower'):
        config.load_study("one")


def test_the_scores_of_every_kind_of_head_have_a_direction():
    """A score that is minimized says so; all are scores of the kind."""
    from audiomtl.families.multitask import heads

    minimized = set()
    for name in heads.kinds():
        about = heads.kind(name).ABOUT
        assert {*about.minimized, *about.slow} <= {*about.scores}
        minimized |= set(about.minimized)
        for score in about.scores:
            lower = any(part in score for part in ("error", "_alarm", "l1")) or score.endswith(
                ("mean_ms", "median_ms")
            )
            assert (score in about.minimized) == lower, (name, score)
    assert len(minimized) >= 8
