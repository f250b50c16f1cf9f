"""Settings of the baselines (``models/baseline.py``): scikit-learn on feature statistics of whole clips."""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.classifier import Classifier
from audiomtl.settings.clips import WeightedExperiment
from audiomtl.settings.shared import GroupFeatures
from audiomtl.settings.table import NotNegative, Table

Statistic = Literal[
    "mean",
    "deviation",
    "minimum",
    "maximum",
    "median",
    "percentile_5",
    "percentile_25",
    "percentile_75",
    "percentile_95",
]


class Statistics(Table):
    """Representation of a clip as a row of numbers."""

    of: Annotated[
        tuple[Statistic, ...],
        Strict(False),
        Field(min_length=1),
    ] = Field(description="Statistics of each feature over the frames of a clip.")
    deltas: bool = Field(
        description="Whether to add the same statistics of the differences between neighbouring frames."
    )
    zero_crossings: bool = Field(
        description="Whether to add mean and standard deviation of the frames' zero-crossing rate."
    )
    trim_db: NotNegative = Field(
        0.0,
        description=(
            "Frames before the first and behind the last that is within so many dB of the clip's loudest are"
            " left out; 0 keeps all. Default 0."
        ),
    )


class Settings(WeightedExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    features: GroupFeatures = Field(description="Features of the sound.")
    statistics: Statistics = Field(description="What each clip is described by.")
    classifier: Classifier = Field(description="Classifier on these numbers.")

    @model_validator(mode="after")
    def _whole_clips(self) -> Self:
        if self.protocol.leaky:
            raise ValueError(
                "protocol.leaky splits by window, but a baseline uses whole clips only: set it to false"
            )
        return self


LOSS_PATHS = ()
SCORES = {"accuracy": "maximize", "balanced_accuracy": "maximize"}
# the same with several labels per clip
TAG_SCORES = {"mean_average_precision": "maximize", "roc_auc": "maximize"}
