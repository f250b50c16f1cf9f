"""Keras takes nothing from its surroundings, and nothing of them is changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audiomtl import surroundings


def python(code: str, **environment: str) -> str:
    """What a new interpreter prints, or the last line of its error."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "taken", "recorded"), [("", True, ""), ("0", False, "TF_ENABLE_ONEDNN_OPTS=0")]
)
def test_the_kernels_of_onednn_are_taken_on_every_processor(asked, taken, recorded, monkeypatch) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    code = (
        "import audiomtl, audiomtl.nn\nfrom audiomtl.surroundings import computing_variables as variables\n"
        "from tensorflow.python.framework.test_util import IsMklEnabled\nprint(IsMklEnabled(), variables())"
    )
    told = {"TF_ENABLE_ONEDNN_OPTS": asked} if asked else {}
    found = python(code, **told)
    assert found.startswith(str(taken)) and ("ONEDNN" in found, recorded in found) == (bool(asked), True)
