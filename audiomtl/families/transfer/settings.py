"""Settings of transfer learning (``models/transfer.py``): a clip's label from what a pretrained network hears in its patches."""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.classifier import Classifier
from audiomtl.settings.clips import LabelledExperiment
from audiomtl.settings.pooling import Pooling
from audiomtl.settings.shared import Features, Optimizer, Training
from audiomtl.settings.table import Count, NotNegative, Positive, Share, Table


class Extractor(Table):
    """What a patch becomes before the head sees it."""

    kind: Literal["yamnet", "statistics", "stored"]  # statistics: of [features], nothing pretrained; stored: embedding_path of a table
    weights: str  # yamnet: a file yamnet.h5 or yamnet.tflite; "": yamnet/ in AUDIOMTL_DATA, yamnet.h5 first
    patch_seconds: Positive  # statistics; YAMNet's are 0.975 s every 0.48 s
    hop_seconds: Positive  # statistics


class FineTune(Table):
    """Training of the pretrained network's end, batch normalisation frozen."""

    blocks: Annotated[int, Field(ge=0, le=8)]  # of YAMNet's 14, from the end; 0: nothing but the head is trained
    rate_share: Annotated[float, Field(gt=0, le=1)]  # step of their kernels as a share of the head's (adam, adamw, rmsprop)
    from_epoch: Annotated[int, Field(ge=0)]  # epochs that the head learns alone first


class Head(Table):
    """One flat table: keys that the kind does not use are allowed and have no effect."""

    kind: Literal["dense", "logistic_regression", "svm", "random_forest", "nearest_neighbours"]  # scikit-learn: on mean embeddings
    hidden: Annotated[tuple[Count, ...], Strict(False)]  # units of dense layers before the logits; []: none
    standardise: bool  # embeddings by train's mean and deviation; scikit-learn always
    dropout: Share  # before the logits
    label_smoothing: Share
    mixup_alpha: NotNegative  # of the beta distribution that mixes two clips; 0: no mixing
    loss: Literal["clip", "patch"]  # on the pooled answer, or on each patch as if it had the clip's label
    inverse_regularization: Positive  # svm, logistic_regression: C
    trees: Count  # random_forest
    neighbours: Count  # nearest_neighbours
    kernel: Literal["linear", "rbf"]  # svm

    @property
    def classifier(self) -> Classifier:
        """The scikit-learn part, where there is one."""
        names = ("trees", "inverse_regularization", "neighbours", "kernel")
        return Classifier.model_validate({"name": self.kind} | {name: getattr(self, name) for name in names})


class PatchPooling(Pooling):
    """From patches to the clip, as in the MIL family, and what is pooled."""

    of: Literal["probabilities", "logits", "embeddings"]  # the patches' answers, what is before their softmax, or what the head sees

    @model_validator(mode="after")
    def _of_probabilities_only(self) -> Self:
        if self.of != "probabilities" and self.name in ("noisy_or", "linear_softmax"):
            raise ValueError(f'name = "{self.name}" pools probabilities only, but of = "{self.of}"; set of = "probabilities"')
        return self


class Settings(LabelledExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    train_share: Annotated[float, Field(gt=0, le=1)]  # of the train side, whole groups, class by class; 1: all of it
    extractor: Extractor
    features: Features  # extractor.kind = "statistics" only
    fine_tune: FineTune
    head: Head
    pooling: PatchPooling
    optimizer: Optimizer
    training: Training

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.protocol.leaky:
            raise ValueError("protocol.leaky deals windows to the sides, but this family has whole clips only: set it to false")
        if self.fine_tune.blocks and self.extractor.kind != "yamnet":
            raise ValueError(f'fine_tune.blocks must be 0 with extractor.kind = "{self.extractor.kind}": nothing is pretrained')
        if self.fine_tune.blocks and self.head.kind != "dense":
            raise ValueError(f'fine_tune.blocks must be 0 with head.kind = "{self.head.kind}": scikit-learn gives no gradient')
        if self.fine_tune.blocks and self.optimizer.name == "sgd":
            raise ValueError('optimizer.name = "sgd" has no step sizes that fine_tune.rate_share could be a share of: take adam or adamw')
        return self


LOSS_PATHS = ("head.loss", "head.label_smoothing", "head.mixup_alpha")  # settings that change what the loss means
SCORES = {"accuracy": "maximize", "balanced_accuracy": "maximize"}  # what is recorded and reported; the first decides
BESIDE = ("patch_accuracy",)  # further columns of the tables of ablations
