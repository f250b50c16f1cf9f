"""Export of a trained transfer model: SavedModel, TFLite and their description; the files are read
again and compared.

Contents: `Exported`, `write`.
"""

import string
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from audiomtl.errors import UserError
from audiomtl.families.transfer import serving
from audiomtl.families.transfer.use import check_model, frozen
from audiomtl.nn import yamnet

TOLERANCE = 1e-4  # of a TFLite file's probabilities
CHECKED_SECONDS = (0.1, 0.975, 1.0, 5.0, 7.3, 60.0)


@dataclass(frozen=True)
class Exported:
    """Exported files and their agreement with the model in memory."""

    folder: Path
    equal: bool  # SavedModel, bit for bit
    difference: float  # of the TFLite file, largest; NaN without one
    reason: str  # why there is no TFLite file, "" if there is


def write(fitted: Any, folder: Path, about: dict[str, str]) -> Exported:
    """Write ``saved_model/``, ``model.tflite``, ``classes.txt`` and ``README.md``, read them again and
    compare.

    Raises
    ------
    UserError : a scikit-learn head but logistic regression, majority vote, a SavedModel that is not equal or
        a TFLite file beyond 1e-4.
    """
    check_model(fitted, "the model")
    if fitted.settings.extractor.kind != "yamnet":
        raise UserError(
            f'extractor.kind = "{fitted.settings.extractor.kind}" takes no waveform; only "yamnet" is'
            " exported"
        )
    if fitted.model is None:
        raise UserError(
            f'head.kind = "{fitted.settings.head.kind}" is not a network: only "dense" and'
            ' "logistic_regression" are exported'
        )
    if fitted.settings.pooling.evaluation != "same":
        raise UserError(
            f'pooling.evaluation = "{fitted.settings.pooling.evaluation}" is not part of a network: only'
            ' "same" is exported'
        )
    body, _ = frozen(fitted)
    model = serving.waveform_model(fitted.model, body)
    in_memory = serving.Serving(model, fitted.known.classes)
    folder.mkdir(parents=True, exist_ok=True)
    serving.save(in_memory, folder / "saved_model")
    random = np.random.default_rng(0)
    waveforms = [
        random.uniform(-0.5, 0.5, round(seconds * yamnet.SAMPLE_RATE)).astype(np.float32)
        for seconds in CHECKED_SECONDS
    ]
    expected = [in_memory(one).numpy() for one in waveforms]
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    if not all(
        np.array_equal(loaded(one).numpy(), value) for one, value in zip(waveforms, expected, strict=True)
    ):
        raise UserError(
            f"{folder / 'saved_model'}: its outputs differ from those of the model in memory; it was not"
            " kept: please report this"
        )
    difference, reason = np.nan, ""
    try:
        content = serving.tflite(serving.waveform_model(fitted.model, body, for_tflite=True))
        differences = [
            np.abs(serving.use_tflite(content, one) - value).max()
            for one, value in zip(waveforms, expected, strict=True)
        ]
        difference = float(np.max(differences))
        if not difference <= TOLERANCE:
            raise UserError(
                f"its outputs differ by {difference:.2g}, more than {TOLERANCE:g}, from those of the model in"
                " memory"
            )
        (folder / "model.tflite").write_bytes(content)
    except UserError as error:
        reason = str(error)
    (folder / "classes.txt").write_text("\n".join(fitted.known.classes) + "\n", encoding="utf-8")
    text = string.Template(
        (resources.files("audiomtl") / "templates" / "export.md").read_text(encoding="utf-8")
    )
    checks = {
        "checked": str(len(waveforms)),
        "equal": "equal bit for bit",
        "classes": ", ".join(fitted.known.classes),
    }
    checks["difference"] = f"{difference:.1e}" if not reason else f"not written: {reason}"
    (folder / "README.md").write_text(text.substitute(about | checks), encoding="utf-8")
    return Exported(folder, True, difference, reason)
