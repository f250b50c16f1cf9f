"""A training runs the code whose hash is recorded, under the Keras settings that are recorded, wherever
and however it is started.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audiomtl import surroundings
from audiomtl.harness.record import provenance
from audiomtl.harness.train.child import _check_sources

ROGUE = "raise SystemExit('code of the current directory was run')\n"


@pytest.fixture
def scores(project) -> list[tuple]:
    """Scores of the tiny experiment as they are."""
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
        "best", "tiny", "--slots", "1", HOME=str(home), KERAS_HOME=str(tmp_path), KERAS_BACKEND="torch"
    )
    assert output.count("KERAS_BACKEND=torch is ignored: audiomtl trains with tensorflow") == 1
    assert recorded(project) == scores
    tags = project.tracking().runs("tiny")[0].data.tags
    assert tags["keras"] == "tensorflow float32 channels_last 1e-07" and tags["device"] == "CPU"


def test_a_training_of_other_code_than_the_workers_is_refused(tmp_path) -> None:
    _check_sources(provenance.source_files("ctc"))
    with pytest.raises(
        RuntimeError,
        match=r"imported audiomtl from .*, but its worker from /elsewhere/audiomtl/__init__\.py",
    ):
        _check_sources({"audiomtl": "/elsewhere/audiomtl/__init__.py"})


def python(code: str, **environment: str) -> str:
    """What a new interpreter prints, or the last line of its error."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1]


LOOK = (
    "c = keras.config\nprint(c.backend(), c.floatx(), c.image_data_format(), c.epsilon(),"
    " os.environ.get('KERAS_HOME'))"
)


@pytest.mark.slow
def test_importing_a_network_pins_keras_and_leaves_the_environment(tmp_path) -> None:
    (tmp_path / "keras.json").write_text(
        '{"floatx": "float64", "epsilon": 0.5, "image_data_format": "channels_first"}'
    )
    pinned = f"{surroundings.keras_text()} {tmp_path}"
    for order in ("import audiomtl.families.mil.model, keras", "import keras, audiomtl.nn"):
        assert python(f"import os\n{order}\n{LOOK}", KERAS_HOME=str(tmp_path)) == pinned, order
    assert (tmp_path / "keras.json").read_text().startswith('{"floatx": "float64"')


def test_the_shipped_keras_json_is_what_is_recorded() -> None:
    assert json.loads((surroundings.KERAS_HOME / "keras.json").read_text()) == surroundings.KERAS


def test_another_backend_that_is_imported_already_is_refused(monkeypatch) -> None:
    import keras

    from audiomtl.errors import UserError

    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(UserError, match="keras was imported with the backend torch before audiomtl"):
        surroundings.import_keras()
