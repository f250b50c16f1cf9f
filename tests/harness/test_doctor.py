"""The first steps of an experiment, examined in a child process."""

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.doctor import doctor


def test_an_experiment_that_learns_has_no_findings(project):
    report = doctor(config.load_experiment("tiny"), "narrow")
    assert report.subject == "tiny, ablation narrow" and report.summary.startswith("10 steps, loss ")
    assert report.names == ()
    assert not [path for path in project.folder.rglob("*") if path.suffix in (".npz", ".keras", ".db")]


@pytest.mark.parametrize(
    ("old", "new", "name", "told"),
    [
        ('fault = "none"', 'fault = "nan"', "loss not finite", "the loss is nan"),
        (
            "learning_rate = 0.05",
            "learning_rate = 1e-6",
            "learning rate too low",
            "optimizer.learning_rate (now 1e-06)",
        ),
    ],
)
def test_a_planted_fault_is_named_with_its_setting(project, old, new, name, told):
    project.edit("experiments", old, new)
    report = doctor(config.load_experiment("tiny"))
    assert name in report.names and told in report.text.replace("\n    ", " ")


def test_a_training_that_fails_is_one_line(project):
    project.edit("experiments", 'fault = "none"', 'fault = "raise"')
    with pytest.raises(UserError, match=r"^tiny: RuntimeError: as ordered$"):
        doctor(config.load_experiment("tiny"))


def test_the_time_is_bounded(project):
    project.edit("experiments", 'fault = "none"', 'fault = "hang"')
    project.edit("experiments", "seconds = 3600.0", "seconds = 0.5")
    with pytest.raises(UserError, match=r"exceeded limits\.seconds = 0\.5"):
        doctor(config.load_experiment("tiny"))
