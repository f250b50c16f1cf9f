"""Values that `audiomtl new` inserts into ``templates/mil.toml``. Contents: `proposal`, `values`."""

import numpy as np

from audiomtl.data.fitting import Choice, Proposal, numbers, window_seconds
from audiomtl.settings.toml import toml_value

LONG_SECONDS = 1.0  # clips from here on have several windows that differ
LEAKY = """[ablation.leaky_split]             # windows of a clip in all splits: an inflated score
protocol.leaky = true
protocol.test_share = 0.2
protocol.validation_share = 0.2
"""


def proposal(choice: Choice) -> Proposal:
    """Whether, and before which others, the family fits the data."""
    if not choice.label:
        return Proposal(0, "it learns classes, but there is no column of classes")
    if not choice.sound:
        return Proposal(20, f"classes of {choice.label} from stored arrays")
    if choice.median < LONG_SECONDS:
        return Proposal(35, f"classes of {choice.label}; but clips of {choice.median:.2f} s hold few windows")
    return Proposal(20, f"classes of {choice.label}; clips of {choice.median:.1f} s are sets of windows")


def values(choice: Choice) -> dict[str, str]:
    """{name between @ in the template: text} for a choice."""
    own = numbers(choice)
    features = own.values
    window = "statistics" if choice.sound else "answer"
    if choice.found.source == "embedding_path":
        window = "embedding"
    elif choice.found.source == "array_path":
        bands = np.load(choice.found.table["path"].iloc[0], mmap_mode="r", allow_pickle=False).shape[-1]
        features["FEATURES"] = features["FEATURES"].replace(
            f"\nbands = {own.bands}\n", f"\nbands = {bands}\n"
        )
    return {
        **features,
        **choice.classes,
        "TITLE": f"a clip's {choice.label} from its windows.",
        "DESCRIPTION": f"{choice.label} of clips from their windows.",
        "KIND": "log_mel",
        "WINDOW": window,
        "WINDOWSECONDS": toml_value(window_seconds(choice, own.hop_seconds)),
        "LEAKY": "" if choice.several else LEAKY,
    }
