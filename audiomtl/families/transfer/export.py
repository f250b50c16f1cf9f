"""Export of a trained transfer model: SavedModel and TFLite; the files are read again and compared.

Contents: `write`, `write_average`, `SERVED`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from audiomtl.data.answers import Recording, Response
from audiomtl.errors import UserError
from audiomtl.families.contract import Fitted
from audiomtl.families.transfer import serving
from audiomtl.families.transfer.use import frozen, respond
from audiomtl.nn import yamnet
from audiomtl.nn.serving import Exported

SERVED = "saved_model"  # MLflow serves the SavedModel, which needs neither audiomtl nor YAMNet's file
TOLERANCE = 1e-4  # of a TFLite file's probabilities
MEAN_TOLERANCE = 1e-5  # of a mean's: features in one graph, and in the batches of the training
CHECKED_SECONDS = (0.1, 0.975, 1.0, 5.0, 7.3, 60.0)
INTERFACE = """\
0.1 to 60 s are taken. Classes, in the order of every output: {classes}.

| signature | input | output |
| --- | --- | --- |
| `serving_default` | `waveform` (n_samples,) | `classifier` (classes,): probabilities |
| `checked` | `waveform`, `sample_rate` () int32 | the same |
| `batch` | `waveforms` (clips, longest), `lengths` (clips,) int32, in samples | `classifier` (clips, classes) |
| `embed` | `waveform` | `embeddings` (patches, 1024), `scores` (patches, classes); a patch is 0.975 s, the next begins 0.48 s later |
| `describe` | | `class_names` (classes,), `sample_rate` (), `profile` (), `exclusive` () |

MLflow answers `{{"predictions": {{"classifier": [...], "class_names": [...], "predicted": {predicted}}}}}`.
"""  # noqa: E501


MEAN = """\
It is the mean of {count} models on one YAMNet, which runs once: `classifier` and `scores` are means of
probabilities. Where the end of YAMNet was fine-tuned, `embeddings` are those of all models side by side,
(patches, {count} x 1024).
"""
TAGS = "Each class has a probability of its own (tags): it is predicted from 0.5 on, and any number may be.\n"


def write(fitted: Fitted, folder: Path) -> Exported:
    """Write ``saved_model/``, ``model.tflite`` and ``classes.txt``, read them again and compare.

    Raises
    ------
    UserError : a model that takes no waveform; a scikit-learn head but logistic regression, majority vote, a
        SavedModel that is not equal.
    """
    return write_average([fitted], folder)


def write_average(members: Sequence[Fitted], folder: Path) -> Exported:
    """`write`, of the mean of several models with the same settings and classes: one file with one YAMNet and
    all heads.

    Raises
    ------
    UserError : as `write`; a SavedModel that does not give the mean of what the models give.
    """
    fitted = members[0]
    if fitted.settings.extractor.kind != "yamnet":
        raise UserError(
            f'extractor.kind = "{fitted.settings.extractor.kind}": only "yamnet" is exported as a SavedModel'
        )
    if any(member.model is None for member in members):
        raise UserError(
            f'head.kind = "{fitted.settings.head.kind}" is not a network: only "dense" and'
            ' "logistic_regression" are'
        )
    if fitted.settings.pooling.evaluation != "same":
        raise UserError(
            f'pooling.evaluation = "{fitted.settings.pooling.evaluation}" is not part of a network: only'
            ' "same" is'
        )
    body, _ = frozen(fitted)
    one_class = fitted.settings.data.labels == "one"
    networks = [member.model for member in members]
    model = serving.waveform_model(networks, body)
    in_memory = serving.Serving(model, fitted.known.classes, exclusive=one_class)
    serving.save(in_memory, folder / "saved_model")
    random = np.random.default_rng(0)
    waveforms = [
        random.uniform(-0.5, 0.5, round(seconds * yamnet.SAMPLE_RATE)).astype(np.float32)
        for seconds in CHECKED_SECONDS
    ]
    expected = [in_memory(one).numpy() for one in waveforms]
    apart = _from_the_mean(members, waveforms, expected) if len(members) > 1 else 0.0
    if not apart <= MEAN_TOLERANCE:
        raise UserError(
            f"its outputs differ by {apart:.2g} from the mean of the single models' outputs; please report"
            " this"
        )
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    if not all(
        np.array_equal(loaded(one).numpy(), value) for one, value in zip(waveforms, expected, strict=True)
    ):
        raise UserError(
            f"{folder / 'saved_model'}: its outputs differ from those of the model in memory; please report"
            " this"
        )
    lengths = f"{len(waveforms)} waveforms of 0.1 to 60 s"
    files, checks = (
        ["saved_model", "classes.txt"],
        [f"SavedModel bit-identical to the model in memory, on {lengths}"],
    )
    if len(members) > 1:
        checks.append(f"SavedModel within {apart:.1e} of the mean of the {len(members)} models' answers")
    reason = ""
    (folder / "classes.txt").write_text("\n".join(fitted.known.classes) + "\n", encoding="utf-8")
    try:
        content = serving.tflite(serving.waveform_model(networks, body, for_tflite=True))
        pairs = zip(waveforms, expected, strict=True)
        difference = max(
            float(np.abs(serving.use_tflite(content, one) - value).max()) for one, value in pairs
        )
        if not difference <= TOLERANCE:
            raise UserError(f"its outputs differ by {difference:.2g} from those of the model in memory")
        (folder / "model.tflite").write_bytes(content)
        files.append("model.tflite")
        checks.append(f"TFLite within {difference:.1e} of the model in memory")
    except UserError as error:
        reason = f"no TFLite file: {error}"
    interface = INTERFACE.format(
        classes=", ".join(fitted.known.classes), predicted='"..."' if one_class else '["...", ...]'
    )
    interface += "" if one_class else f"\n{TAGS}"
    if len(members) > 1:
        interface += f"\n{MEAN.format(count=len(members))}"
    return Exported(tuple(files), tuple(checks), interface, reason)


def _from_the_mean(
    members: Sequence[Fitted], waveforms: Sequence[np.ndarray], expected: Sequence[np.ndarray]
) -> float:
    """Largest difference between outputs and the mean of what the single models answer."""
    recordings = [Recording("", waveform) for waveform in waveforms]
    each = [[_probabilities(response) for response in respond(member, recordings)] for member in members]
    return float(np.abs(np.mean(each, axis=0) - np.stack(expected)).max())


def _probabilities(response: Response) -> np.ndarray:  # (classes,)
    answer: Any = response.answers["classes"]
    return np.asarray(answer.probabilities)
