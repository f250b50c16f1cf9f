"""Settings of multiple-instance learning (``models/mil.py``): a clip's label from its windows."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.augmentation import Clips, check_bands, check_stored
from audiomtl.settings.clips import WeightedExperiment
from audiomtl.settings.pooling import Pooling
from audiomtl.settings.protocol import Protocol
from audiomtl.settings.shared import GroupFeatures, Optimizer, Training
from audiomtl.settings.table import Count, Share, Table, used_when
from audiomtl.settings.windows import Windows

# poolings with weights of their own
LEARNED = ("attention", "autopool", "gated_attention", "lstm", "multi_head_attention")
EMBEDDINGS = ("yamnet", "embedding")  # windows that are vectors and no frames


class WindowProtocol(Protocol):
    """How clips are split, or, only to show the effect of a leak, their windows."""

    leaky: bool = Field(
        description=(
            "Whether windows rather than clips are divided, so that clips occur in several splits. Never"
            " report such a score."
        )
    )


class Network(Table):
    """One network for every window, a softmax over classes at its end."""

    window: Literal["answer", "residual", "convolutional", "statistics", "yamnet", "embedding"] = Field(
        description=(
            "Network that is applied to every window; yamnet reads YAMNet's embeddings of its patches"
            " (0.975 s, every 0.48 s), embedding stored ones."
        )
    )
    weights: str = used_when(
        {"window": "yamnet"},
        description=(
            'Path of yamnet.h5 or yamnet.tflite; "" takes it from AUDIOMTL_DATA/yamnet, yamnet.h5 first.'
        ),
    )
    filters: Count = used_when(
        {"window": ("residual", "convolutional")},
        description="Filters of the first block, doubled in each of the next two.",
    )
    hidden: Count = used_when(
        {"window": ("answer", "statistics", "yamnet", "embedding")}, description="Units of the dense layers."
    )
    hidden_layers: Annotated[int, Field(ge=0, le=2)] = Field(
        2,
        description=(
            "Dense layers of answer, statistics, yamnet and embedding; 0: a linear model, of statistics after"
            " batch normalization. Default 2."
        ),
    )
    dropout: Share = Field(description="Dropout rate before the softmax, in [0, 1).")
    batch_normalization: bool = used_when(
        {"window": ("answer", "statistics")},
        description=(
            "Whether to normalize batches after each convolution (answer) or hidden layer (statistics)."
        ),
    )
    loss: Literal["clip", "window"] = Field(
        description=(
            "Output that the loss compares with the label: the pooled output of the clip, or that of each"
            " window."
        )
    )


class Settings(WeightedExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    protocol: WindowProtocol = Field(description="How clips are divided into train, validation and test.")
    features: GroupFeatures = Field(description="Features of the sound.")
    augmentation: Clips = Field(None, description="Random changes of train clips; left out for none.")
    windows: Windows = Field(description="How a clip is cut into windows.")
    network: Network = Field(description="The network of a window.")
    pooling: Pooling = Field(description="From windows to their clip.")
    optimizer: Optimizer = Field(description="How it is optimized.")
    training: Training = Field(description="How long it is trained.")

    @model_validator(mode="after")
    def _augmentation_fits(self) -> Self:
        check_bands(self.augmentation, self.features)
        if self.network.window in EMBEDDINGS and self.features.normalize_by:
            raise ValueError(
                f'features.normalize_by = "{self.features.normalize_by}" normalizes frames, but'
                f' network.window = "{self.network.window}" reads embeddings: set it to ""'
            )
        if self.network.window in EMBEDDINGS:
            check_stored(self.augmentation, f'network.window = "{self.network.window}"')
        if self.network.loss == "window" and self.pooling.name in LEARNED:
            raise ValueError(
                f'network.loss = "window" trains windows alone, and nothing of pooling.name ='
                f' "{self.pooling.name}": choose one that learns nothing, such as "mean", or'
                ' network.loss = "clip"'
            )
        if self.protocol.leaky and self.augmentation is not None:
            raise ValueError("protocol.leaky = true: augmentation is not applied there; leave the table out")
        return self


# settings that change what the loss means: no study that sweeps one is judged by a loss
LOSS_PATHS = ("network.loss", "class_weights", "item_weight")
# what is recorded and reported; the first decides
SCORES = {
    "accuracy": "maximize",
    "balanced_accuracy": "maximize",
}
# the same with several labels per clip
TAG_SCORES = {"mean_average_precision": "maximize", "roc_auc": "maximize"}
# further columns of the tables of ablations
BESIDE = (
    "window_accuracy",
    "evidence_weight_auc",
    "evidence_weight_precision",
    "evidence_probability_auc",
    "evidence_probability_precision",
)


def watched(settings: Settings) -> dict[str, str]:
    """Further scores of every epoch, and their direction."""
    return dict.fromkeys(BESIDE, "maximize")
