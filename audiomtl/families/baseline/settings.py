"""Settings of the baselines (``models/baseline.py``): scikit-learn on feature statistics of whole clips."""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.classifier import Classifier
from audiomtl.settings.clips import LabelledExperiment
from audiomtl.settings.shared import Features
from audiomtl.settings.table import Table


class Statistics(Table):
    """What one clip becomes: a row of numbers."""

    of: Annotated[tuple[Literal["mean", "deviation", "minimum", "maximum", "median"], ...], Strict(False), Field(min_length=1)]
    deltas: bool  # the same of the differences between neighbouring frames
    zero_crossings: bool  # mean and deviation of the zero-crossing rate of each frame


class Settings(LabelledExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    features: Features
    statistics: Statistics
    classifier: Classifier

    @model_validator(mode="after")
    def _whole_clips(self) -> Self:
        if self.protocol.leaky:
            raise ValueError("protocol.leaky deals windows to the sides, but a baseline has whole clips only: set it to false")
        return self


LOSS_PATHS = ()
SCORES = {"accuracy": "maximize", "balanced_accuracy": "maximize"}
