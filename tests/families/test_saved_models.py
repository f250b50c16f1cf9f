"""Models that 0.1.0 saved (``tests/golden/make_saved_models.py``) load, and say what they said."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from audiomtl import config

ZIP = Path(__file__).parents[1] / "golden" / "saved_models.zip"
NAMES = sorted({name.split("/")[0] for name in zipfile.ZipFile(ZIP).namelist()})


def test_every_family_is_among_them() -> None:
    assert {name.split(" ")[0] for name in NAMES} == set(config.families()) and ZIP.stat().st_size < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_0_1_0_answers_as_it_did(name, tmp_path) -> None:
    with zipfile.ZipFile(ZIP) as archive:
        archive.extractall(tmp_path, [entry for entry in archive.namelist() if entry.startswith(f"{name}/")])
    fitted = config.family("model", name.split(" ")[0]).load(tmp_path / name)
    with np.load(tmp_path / name / "answers.npz") as stored:
        given = {key.removeprefix("in_"): stored[key] for key in stored.files if key.startswith("in_")}
        expected = {key.removeprefix("out_"): stored[key] for key in stored.files if key.startswith("out_")}
    values = list(given.values())
    if set(given) != {str(number) for number in range(len(given))}:
        found = fitted.forward(given)
    elif name.startswith("transfer"):
        found = fitted.forward(*values)
    else:
        found = fitted.forward(values if len(values) > 1 else values[0])
    answers = found if isinstance(found, dict) else {"0": found}
    assert set(answers) == set(expected) and expected
    for key, array in expected.items():
        np.testing.assert_allclose(np.asarray(answers[key]), array, rtol=1e-5, atol=1e-6, err_msg=key)
