"""What keeps a Keras model from learning: ten training steps, measured, each finding with what to change.

    import audiomtl
    audiomtl.doctor(model, (x, y))

Two steps from a model to its report: a `Subject` says what is trained on what (`models` makes it of any Keras
model, `harness.doctor` of an experiment), and `examine` takes the steps and judges them. What was measured is
decided by comparison wherever possible: the same batch standardised, the same steps with another learning
rate. Contents: `doctor`; `examine`, `Subject`, `Learned`; and, of `findings`, `Report`.
"""

import warnings
from typing import Any

import keras

from audiomtl.errors import UserError
from audiomtl.findings import Report
from audiomtl.nn.doctor.examination import examine
from audiomtl.nn.doctor.models import subject_of
from audiomtl.nn.doctor.steps import kept
from audiomtl.nn.doctor.subject import Learned, Subject

__all__ = ["Learned", "Report", "Subject", "doctor", "examine"]


def doctor(model: Any, batch: Any, *, loss: Any = None) -> Report:
    """Take ten training steps of a Keras model and say what keeps it from learning.

    Parameters
    ----------
    model : keras.Model
        Sequential, functional or subclassed, with any inputs and outputs. If it is compiled, its loss and its
        optimizer's settings are used; without a loss, one step is taken with a stand-in, and labels and
        learning rate are not judged.
    batch
        What `keras.Model.fit` takes: (x, y) or (x, y, sample_weight), where each may be an array, a list or a
        dict of arrays, (items, ...); x alone; or a tf.data.Dataset, PyDataset or generator of batches. Ten
        batches are taken, or the one again.
    loss
        For a model that is not compiled: a loss of Keras, its name, or a function of (y_true, y_pred); then
        the optimizer is Adam with a learning rate of 0.001.

    Returns
    -------
    Report : iterable over findings with ``name``, ``place`` and ``value``; its text is the whole report. The
        model, its optimizer, metrics and random states are left as they were (a model that is not built is
        built).

    Raises
    ------
    UserError : no Keras model, no batch, or one that the model cannot be called with.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"doctor: model is a {type(model).__name__}: must be a keras.Model")
    with kept([*model.variables, *model.metrics_variables]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own on what is examined here
        return examine(subject_of(model, batch, loss))
