"""A training runs the code whose hash is recorded, under the Keras settings that are recorded, wherever
it is started.
"""

import json

import pytest

ROGUE = "raise SystemExit('code of the current directory was run')\n"


@pytest.fixture
def scores(project) -> list[tuple]:
    """Scores of the tiny experiment as they are."""
    project.edit("experiments", "seeds = [1, 2]", "seeds = [1]")
    project.use_runs(project.folder / "plain")
    project.run("best", "tiny", "--slots", "1")
    return recorded(project)


def recorded(project) -> list[tuple]:
    runs = project.tracking().runs("tiny", "tags.kind = 'best'")
    return sorted(
        (run.data.tags["seed"], run.data.tags["code"], run.data.metrics["test/error_rate"]) for run in runs
    )


@pytest.mark.slow
def test_neither_the_current_directory_nor_keras_own_settings_move_a_score(project, scores, tmp_path) -> None:
    """The folder of a project may hold a package audiomtl, or files named like what a training imports."""
    (project.folder / "audiomtl").mkdir()
    for name in ("audiomtl/__init__", "rapidfuzz", "keras", "tensorflow", "pandas", "numpy", "signal"):
        (project.folder / f"{name}.py").write_text(ROGUE)
    home = tmp_path / "home"
    (home / ".keras").mkdir(parents=True)
    settings = {
        "floatx": "float16",
        "epsilon": 0.1,
        "backend": "torch",
        "image_data_format": "channels_first",
    }
    for folder in (home / ".keras", tmp_path):
        (folder / "keras.json").write_text(json.dumps(settings))
    project.use_runs(project.folder / "pinned")
    output = project.run(
        "best",
        "tiny",
        "--slots",
        "1",
        cold=True,
        HOME=str(home),
        KERAS_HOME=str(tmp_path),
        KERAS_BACKEND="torch",
    )
    assert output.count("KERAS_BACKEND=torch is ignored: audiomtl trains with tensorflow") == 1
    assert recorded(project) == scores
    tags = project.tracking().runs("tiny")[0].data.tags
    assert tags["keras"] == "tensorflow float32 channels_last 1e-07" and tags["device"] == "CPU"
