"""Settings of transfer learning: a clip's label from the embeddings of its patches by a pretrained"
" network."""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.classifier import Classifier
from audiomtl.settings.clips import WeightedExperiment
from audiomtl.settings.pooling import Pooling
from audiomtl.settings.shared import Features, Optimizer, Training
from audiomtl.settings.table import ABOVE_0, Count, NotNegative, Positive, Share, Table, used_when


class Extractor(Table):
    """Embedding of a patch."""

    kind: Literal["yamnet", "statistics", "stored"] = Field(
        description=(
            "Embedding of a patch: by YAMNet, by statistics of its features, or stored in the column"
            " embedding_path."
        )
    )
    weights: str = used_when(
        {"kind": "yamnet"},
        description=(
            'Path of yamnet.h5 or yamnet.tflite; "" takes it from AUDIOMTL_DATA/yamnet, yamnet.h5 first.'
        ),
    )
    patch_seconds: Positive = used_when(
        {"kind": "statistics"}, description="Length of a patch, in seconds; YAMNet's patches have 0.975."
    )
    hop_seconds: Positive = used_when(
        {"kind": "statistics"},
        description="Distance between the starts of neighbouring patches, in seconds; YAMNet's is 0.48.",
    )


class FineTune(Table):
    """Fine-tuning of the pretrained network's last blocks, batch normalisation frozen."""

    blocks: Annotated[int, Field(ge=0, le=8)] = Field(
        description=(
            "Blocks of YAMNet that are trained, counted from its end, at most 8 of 14; 0 trains the head"
            " alone."
        )
    )
    rate_share: Annotated[float, Field(gt=0, le=1)] = used_when(
        {"blocks": ABOVE_0},
        description="Learning rate of these blocks as a fraction of the head's, in (0, 1].",
    )
    from_epoch: Annotated[int, Field(ge=0)] = used_when(
        {"blocks": ABOVE_0}, description="Number of epochs in which the head is trained alone first."
    )


class Head(Table):
    """One flat table: keys that the kind does not use may be left out."""

    kind: Literal["dense", "logistic_regression", "svm", "random_forest", "nearest_neighbours"] = Field(
        description=(
            "Classifier on the embeddings: dense layers, or a scikit-learn classifier on the mean embedding"
            " of a clip."
        )
    )
    hidden: Annotated[tuple[Count, ...], Strict(False)] = used_when(
        {"kind": "dense"}, description="Units of each dense layer before the logits; [] has none."
    )
    standardise: bool = used_when(
        {"kind": "dense"},
        description=(
            "Whether embeddings are standardized by the train split; scikit-learn classifiers always do so."
        ),
    )
    dropout: Share = used_when({"kind": "dense"}, description="Dropout rate before the logits, in [0, 1).")
    label_smoothing: Share = used_when(
        {"kind": "dense"},
        description="Probability that is spread over all classes in the targets, in [0, 1).",
    )
    mixup_alpha: NotNegative = used_when(
        {"kind": "dense"},
        description=(
            "Parameter of the beta distribution by which two clips are mixed (mixup); 0 turns mixing off."
        ),
    )
    loss: Literal["clip", "patch"] = used_when(
        {"kind": "dense"},
        description=(
            "What the loss compares with the label: the clip's pooled output, or the output of each patch."
        ),
    )
    inverse_regularization: Positive = used_when(
        {"kind": ("svm", "logistic_regression")},
        description="Inverse of the regularization strength, scikit-learn's C, above 0.",
    )
    trees: Count = used_when({"kind": "random_forest"}, description="Number of trees.")
    neighbours: Count = used_when(
        {"kind": "nearest_neighbours"}, description="Number of neighbours, at most the number of train clips."
    )
    kernel: Literal["linear", "rbf"] = used_when({"kind": "svm"}, description="Kernel.")

    @property
    def classifier(self) -> Classifier:
        """The scikit-learn part, where there is one."""
        names = ("trees", "inverse_regularization", "neighbours", "kernel")
        return Classifier.model_validate(
            {"name": self.kind}
            | {name: value for name in names if (value := getattr(self, name)) is not None}
        )


class PatchPooling(Pooling):
    """From patches to the clip, as in the MIL family, and what is pooled."""

    of: Literal["probabilities", "logits", "embeddings"] = Field(
        description="What is pooled: the patches' class probabilities, their logits, or their embeddings."
    )

    @model_validator(mode="after")
    def _of_probabilities_only(self) -> Self:
        if self.of != "probabilities" and self.name in ("noisy_or", "linear_softmax"):
            raise ValueError(
                f'name = "{self.name}" pools probabilities only, but of = "{self.of}"; set of ='
                ' "probabilities"'
            )
        return self


class Settings(WeightedExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    train_share: Annotated[float, Field(gt=0, le=1)] = Field(
        description=(
            "Fraction of the train split to train on, in (0, 1]; drawn by whole groups, class by class."
        )
    )
    extractor: Extractor = Field(description="Embedding of the patches.")
    features: Features = used_when({"extractor.kind": "statistics"}, description="Features of the sound.")
    fine_tune: FineTune = Field(description="Training of the end of the pretrained network.")
    head: Head = Field(description="The head.")
    pooling: PatchPooling = Field(description="From patches to their clip.")
    optimizer: Optimizer = used_when({"head.kind": "dense"}, description="How it is optimized.")
    training: Training = Field(description="How long it is trained.")

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.protocol.leaky:
            raise ValueError(
                "protocol.leaky splits by window, but this family uses whole clips only: set it to false"
            )
        if self.fine_tune.blocks and self.extractor.kind != "yamnet":
            raise ValueError(
                f'fine_tune.blocks must be 0 with extractor.kind = "{self.extractor.kind}": nothing is'
                " pretrained"
            )
        if self.fine_tune.blocks and self.head.kind != "dense":
            raise ValueError(
                f'fine_tune.blocks must be 0 with head.kind = "{self.head.kind}": scikit-learn gives no'
                " gradient"
            )
        if self.fine_tune.blocks and self.optimizer.name == "sgd":
            raise ValueError(
                'optimizer.name = "sgd" has no step sizes that fine_tune.rate_share could scale: use'
                " adam or adamw"
            )
        return self


# settings that change what the loss means
LOSS_PATHS = (
    "head.loss",
    "head.label_smoothing",
    "head.mixup_alpha",
    "class_weights",
    "item_weight",
)
# what is recorded and reported; the first decides
SCORES = {
    "accuracy": "maximize",
    "balanced_accuracy": "maximize",
}
# the same with several labels per clip
TAG_SCORES = {"mean_average_precision": "maximize", "roc_auc": "maximize"}
BESIDE = ("patch_accuracy",)  # further columns of the tables of ablations


def watched(settings: Settings) -> dict[str, str]:
    """Further scores of every epoch, and their direction."""
    return dict.fromkeys(BESIDE, "maximize")
