"""Settings of the baselines (``models/baseline.py``): scikit-learn on feature statistics of whole clips."""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.clips import Data, Protocol
from audiomtl.settings.shared import Count, Experiment, Features, Positive, Table


class Statistics(Table):
    """What one clip becomes: a row of numbers."""

    of: Annotated[tuple[Literal["mean", "deviation", "minimum", "maximum", "median"], ...], Strict(False), Field(min_length=1)]
    deltas: bool  # the same of the differences between neighbouring frames
    zero_crossings: bool  # mean and deviation of the zero-crossing rate of each frame


class Classifier(Table):
    """One flat table: keys that the named classifier does not use have no effect. Numbers are standardised by train's."""

    name: Literal["random_forest", "svm", "logistic_regression", "nearest_neighbours"]
    trees: Count  # random_forest
    inverse_regularization: Positive  # svm, logistic_regression: C
    neighbours: Count  # nearest_neighbours
    kernel: Literal["linear", "rbf"]  # svm


class Settings(Experiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    data: Data
    protocol: Protocol
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
