"""What keeps a network from learning: the kinds of findings of `audiomtl.doctor` and `audiomtl check --deep`,
why each stops learning, and what to change.

Importing it imports nothing heavy; the page docs/how-to/when-it-does-not-learn.md is made of these texts
(`as_markdown`). Contents: `Kind`, `KINDS`, `Finding`, `Report`, `as_markdown`.
"""

import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# characters of a line of a report
WIDTH = max(40, min(100, shutil.get_terminal_size((100, 24)).columns))


@dataclass(frozen=True)
class Kind:
    """One reason for which a network does not learn."""

    name: str
    measured: str  # how it is found
    why: str  # it stops learning
    change: str  # in a Keras model
    settings: tuple[str, ...] = ()  # setting paths of an experiment that may be the cause; * is any one name


def _kinds(*kinds: Kind) -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds}


KINDS = _kinds(
    Kind(
        "input not finite",
        "NaN or infinity among the inputs of a step",
        "One NaN makes the loss and every gradient NaN, and after one step all weights.",
        "find the recordings or features with NaN or infinity (a logarithm of 0, an empty file) and"
        " raise their power to a floor before the logarithm",
        ("features.floor_db",),
    ),
    Kind(
        "constant input",
        "an input that has the same values in every item of all steps",
        "Nothing in the input tells one item from another, so that the network can learn the mean"
        " answer only.",
        "check how features are computed: silent files, a wrong path or column, scaling by a constant",
        (
            "features.floor_db",
            "features.scaling",
        ),
    ),
    Kind(
        "unscaled input",
        "saturated units, or a loss far too large, on the input as it is, but not on the same input"
        " standardised to mean 0 and standard deviation 1; or answers that hardly depend on the input,"
        " but do once it is standardised",
        "Initial weights are made for inputs around 0 with a standard deviation near 1. Values far"
        " from that, such as decibels around -70 or 16-bit samples, drive the gates of recurrent"
        " layers and the units of dense layers into saturation, where gradients are almost 0; very"
        " small ones, such as power spectra, change the answers too little. The output's biases then"
        " learn how frequent each class is, and nothing else is learnt.",
        "scale the input to mean 0 and standard deviation 1 with statistics of the training clips, or"
        " each clip to [-1, 1]; a Normalization layer does the former",
        (
            "features.scaling",
            "head.standardise",
        ),
    ),
    Kind(
        "labels out of range",
        "labels that are no class of the output, or targets outside the range that the loss is defined for",
        "The loss of such items is NaN, or 0 without any gradient, or cannot be reached by any output.",
        "number the classes 0 to classes - 1, and give the output one unit per class; give targets of"
        " a binary cross-entropy in [0, 1]",
    ),
    Kind(
        "labels do not fit into the frames",
        "items with more labels, and blanks between equal neighbours, than output frames",
        "CTC needs one frame per label and one blank between two equal labels. An item that has fewer"
        " has no alignment: its loss is infinite, or a large constant without a useful gradient.",
        "lower the stride of the network or the hop of the frames, or leave these items out; check"
        " that labels are counted without padding",
        (
            "features.hop_seconds",
            "network.time_reduction",
            "network.infeasible",
        ),
    ),
    Kind(
        "no labels",
        "an output for which no item of any step has a label with a weight above 0",
        "An output without labels has no loss: its weights stay as they were initialised.",
        "give this output labels, or remove it; check weights and masks of its targets",
        (
            "heads.*.labelled_share",
            "heads.*.label",
            "heads.*.item_weight",
            "item_weight",
        ),
    ),
    Kind(
        "classes are missing",
        "labels of one class only, batches that hold a single class each, or a class that should be"
        " among so many items and is not",
        "A network that sees one class at a time learns to answer the class of the last batch; a"
        " class that it never sees, it cannot learn.",
        "shuffle the items before batches are made; check how classes are numbered; raise the batch size",
        (
            "training.batch_size",
            "data.label",
        ),
    ),
    Kind(
        "mask hides everything",
        "masks that leave nothing of half of the items or more",
        "What is masked has no influence on the answer, and gets no gradient.",
        "check the lengths, and the mask_value of Masking: is it a value that features take?",
    ),
    Kind(
        "nothing to train",
        "a model without trainable weights",
        "The optimizer has nothing to change.",
        "set layer.trainable = True on the layers to train, then compile again",
        ("fine_tune.blocks",),
    ),
    Kind(
        "no gradient",
        "weight matrices whose gradient is missing or exactly 0 in every step",
        "The loss does not depend on these weights: they are not connected to an output with a loss,"
        " or all that lies behind them is saturated, masked or dead.",
        "connect the layer to the loss; look for stop_gradient, argmax, rounding, casts to integers"
        " and NumPy on the way; remove layers that are not used",
    ),
    Kind(
        "dead units",
        "three quarters of a layer's ReLU units or more are 0 for every input of every step",
        "A ReLU that is 0 for every input has a gradient of 0 and never becomes anything else.",
        "scale the input, lower the learning rate, initialise biases with 0, or use leaky_relu or elu",
        (
            "features.scaling",
            "optimizer.learning_rate",
            "network.batch_normalization",
        ),
    ),
    Kind(
        "vanishing gradients",
        "a weight matrix whose gradient, relative to the weights, is a hundred thousand times smaller"
        " than another's",
        "Steps that are large enough for the last layers do nothing to the first ones, which stay as"
        " they were initialised.",
        "use fewer layers, residual connections, normalization layers, or ReLU instead of sigmoid and tanh",
        (
            "network.layer_normalization",
            "network.batch_normalization",
            "features.scaling",
        ),
    ),
    Kind(
        "exploding gradients",
        "gradients that are not finite; or a loss that rises over ten steps, with a tenth of the"
        " learning rate as well, but not with gradients clipped to a norm of 1",
        "One step moves the weights further than the slope holds, and what was learnt before is lost.",
        "clip the norm of the gradient (clipnorm = 1 or global_clipnorm = 1), lower the learning"
        " rate, and check the scale of initial weights",
        (
            "optimizer.clipnorm",
            "optimizer.global_clipnorm",
            "optimizer.learning_rate",
        ),
    ),
    Kind(
        "saturated loss",
        "items whose true class has a probability near 0, and whose loss has no slope there",
        "A loss such as -log(p + 1e-7), or with p clipped to 1e-7, is constant where p is smaller:"
        " the items that are most wrong have no gradient.",
        "compute the loss from logits (from_logits=True, without softmax or sigmoid in the network);"
        " scale the input and lower the learning rate, so that first answers are not certain",
        (
            "features.scaling",
            "optimizer.learning_rate",
        ),
    ),
    Kind(
        "outputs and loss disagree",
        "probabilities given to a loss that expects logits, or numbers outside [0, 1] to one that"
        " expects probabilities",
        "Softmax applied twice is nearly flat: gradients are small, and no answer can become certain."
        " A logarithm of numbers that are no probabilities is NaN or clipped, without a gradient.",
        "remove softmax or sigmoid from the last layer and use from_logits=True (CTC always takes"
        " logits), or keep it and use from_logits=False",
    ),
    Kind(
        "blank collapse",
        "only blanks after the steps, and the same answer at every frame",
        "CTC learns first how frequent blanks are. If the network's answer does not depend on the"
        " sound by then, there is no way back: the gradient of every other label is the same at all"
        " frames.",
        "scale the input, lower the learning rate, clip gradients; check that labels are not empty"
        " and that the blank has the number that the loss expects",
        (
            "features.scaling",
            "optimizer.learning_rate",
            "optimizer.clipnorm",
        ),
    ),
    Kind(
        "learning rate too high",
        "the loss of the first batch rises over ten steps, and with a lower learning rate it does not",
        "Steps jump over the minimum, and each lands higher than the one before.",
        "lower the learning rate to a tenth; clip gradients",
        (
            "optimizer.learning_rate",
            "optimizer.clipnorm",
        ),
    ),
    Kind(
        "learning rate too low",
        "the loss of the first batch changes by less than 0.1 % over ten steps; with a hundred or ten"
        " thousand times the rate it falls",
        "The weights hardly move: training ends long before they are anywhere else.",
        "raise the learning rate ten to a hundred times",
        ("optimizer.learning_rate",),
    ),
    Kind(
        "loss not finite",
        "a loss of NaN or infinity, although the inputs are finite",
        "No gradient of such a loss is a number, and after one step no weight is.",
        "look for a logarithm or a root of 0, a division by 0 (by a number of items, by a length),"
        " and labels that the loss does not allow",
        (
            "optimizer.learning_rate",
            "optimizer.clipnorm",
        ),
    ),
    Kind(
        "normalization over one value",
        "a batch normalization layer that averages over a single value",
        "The mean of one value is the value: the layer gives 0 whatever its input, and its gradient is 0.",
        "use larger batches, or LayerNormalization, which does not average over items",
        (
            "training.batch_size",
            "network.batch_normalization",
        ),
    ),
)
ORDER = tuple(KINDS)  # causes before what follows from them


@dataclass(frozen=True)
class Finding:
    """Something that keeps a network from learning."""

    name: str  # a key of `KINDS`
    place: str  # input, output, layer or setting
    value: str  # what was measured

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]


@dataclass(frozen=True)
class Report:
    """The findings of one examination, causes first; its text is a complete report."""

    findings: tuple[Finding, ...]
    subject: str = "model"  # what was examined
    summary: str = ""  # steps, batches and losses, in a few words
    settings: Mapping[str, Any] | None = None  # of an experiment: {setting path: value}

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the findings, each once."""
        return tuple(dict.fromkeys(finding.name for finding in self.findings))

    @property
    def text(self) -> str:
        count = len(self.findings)
        told = (
            f"{count} finding{'s' if count > 1 else ''}" if count else "nothing found that prevents learning"
        )
        lines = [f"{self.subject}: {told}" + (f" ({self.summary})" if self.summary else "")]
        for finding in self.findings:
            lines += _paragraph(f"- {finding.name}: {finding.place}: {finding.value}", "  ")
            lines += _paragraph(f"  why: {finding.kind.why}", "    ")
            lines += _paragraph(f"  change: {self._change(finding)}", "    ")
        return "\n".join(lines)

    def _change(self, finding: Finding) -> str:
        """What to change, with the settings of the experiment that may be the cause."""
        if self.settings is None:
            return finding.kind.change
        paths = [path for pattern in finding.kind.settings for path in _matching(pattern, self.settings)]
        told = ", ".join(f"{path} (now {_shown(self.settings[path])})" for path in paths)
        return f"{told}: {finding.kind.change}" if told else finding.kind.change

    def __repr__(self) -> str:
        return self.text


def as_markdown() -> str:
    """A section for every kind, for the documentation."""
    parts = []
    for kind in KINDS.values():
        settings = ", ".join(f"`{path}`" for path in kind.settings)
        lines = [
            f"### {kind.name}",
            *textwrap.wrap(f"**Measured:** {kind.measured}.", 140),
            "",
            *textwrap.wrap(kind.why, 140),
            "",
            *textwrap.wrap(f"**Change:** {kind.change}.", 140),
        ]
        if settings:
            lines += ["", *textwrap.wrap(f"**Settings of an experiment:** {settings}.", 140)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _paragraph(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False)


def _matching(pattern: str, settings: Mapping[str, Any]) -> Sequence[str]:
    wanted = pattern.split(".")
    return [
        path
        for path in settings
        if len(parts := path.split(".")) == len(wanted)
        and all(one in ("*", other) for one, other in zip(wanted, parts, strict=True))
    ]


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
