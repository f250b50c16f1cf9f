"""The loss of the recognisers of ``join.kind = "likelihood"``: what a text and a score cost in the clips
whose class says that they are those of the sound. Contents: `check_agrees`, `evidence_of`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from audiomtl.errors import UserError
from audiomtl.families.fusion import joins
from audiomtl.families.fusion.examples import Known
from audiomtl.families.fusion.settings import Settings
from audiomtl.settings.validation import nearest

Evidence = Callable[[Any, tf.Tensor, Any], tuple[Any, tf.Tensor]]


def check_agrees(settings: Settings, classes: Sequence[str]) -> None:
    """Refuse classes in ``modalities.NAME.agrees`` that the train split does not have.

    Raises
    ------
    UserError : there is one.
    """
    for name, modality in settings.used.items():
        if unknown := sorted(set(modality.agrees) - set(classes)):
            raise UserError(
                f'modalities.{name}.agrees: "{unknown[0]}" is no class of {settings.data.label} in the train'
                f" split{nearest(unknown[0], classes)}; there are {', '.join(classes)}"
            )


def evidence_of(model: keras.Model, settings: Settings, known: Known) -> Evidence | None:
    """Of join likelihood, a function from inputs, labels (clips,), or probabilities of classes (clips,
    classes), and weights (clips,) or None, to what the model gives and the recognisers' loss: the mean cost
    of each modality in the clips that have it and whose class says that it agrees with the sound. None for
    other joins.
    """
    weight = settings.join.evidence_weight
    if settings.join.kind != "likelihood" or not weight or settings.join.by in settings.join.leave_out:
        return None
    columns = joins.kind("likelihood").costs(list(settings.used), settings.join.by)
    agrees = {
        name: tf.constant([float(one in settings.modalities[name].agrees) for one in known.classes])
        for name in columns
    }
    both = keras.Model(model.inputs, [model.output, model.get_layer("join").output])

    def found(given: Any, labels: tf.Tensor, weights: Any = None) -> tuple[Any, tf.Tensor]:
        answers, vector = both(given, training=True)
        total: Any = 0.0
        for name, column in columns.items():
            known = agrees[name]
            own = tf.linalg.matvec(labels, known) if len(labels.shape) == 2 else tf.gather(known, labels)
            own *= tf.cast(vector[:, column] != 0, own.dtype)  # a clip without the modality has no cost
            own = own if weights is None else own * weights
            total += tf.reduce_sum(own * vector[:, column]) / tf.maximum(tf.reduce_sum(own), 1.0)
        return answers, weight * total

    return found
