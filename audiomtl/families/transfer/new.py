"""Values that `audiomtl new` inserts into ``templates/transfer.toml``. Contents: `proposal`, `values`."""

from audiomtl.data.fitting import Choice, Proposal, numbers

NO_PRETRAINING = """[ablation.no_pretraining]  # the same head on log-mel statistics
curve = true
extractor.kind = "statistics"
extractor.patch_seconds = 0.975
extractor.hop_seconds = 0.48
features.kind = "log_mel"
features.sample_rate = 16000       # Hz
features.window_seconds = 0.025
features.hop_seconds = 0.010
features.n_fft = 512               # samples
features.bands = 64
features.low_hz = 125.0
features.high_hz = 7500.0
features.floor_db = -60.0
features.scaling = "none"

"""


def proposal(choice: Choice) -> Proposal:
    """Whether, and before which others, the family fits the data."""
    if not choice.label:
        return Proposal(0, "it learns classes, but there is no column of classes")
    if choice.found.source == "array_path":
        return Proposal(0, "it reads recordings or embeddings, but the clips are arrays of features")
    if not choice.sound:
        return Proposal(15, f"classes of {choice.label} from stored embeddings")
    if not choice.weights:
        return Proposal(
            40, f"classes of {choice.label}; needs YAMNet's weights (`audiomtl data fetch yamnet`)"
        )
    return Proposal(25, f"classes of {choice.label} from what YAMNet has learned; few clips suffice")


def values(choice: Choice) -> dict[str, str]:
    """{name between @ in the template: text} for a choice."""
    stored = not choice.sound
    return {
        **numbers(choice).values,
        **choice.classes,
        "TITLE": f"a clip's {choice.label} from a pretrained network's embeddings.",
        "DESCRIPTION": f"{choice.label} of clips from a pretrained network's embeddings.",
        "EXTRACTOR": "stored" if stored else "yamnet",
        "WEIGHTS": "" if stored else 'weights = ""\n',
        "NOPRETRAINING": "" if stored else NO_PRETRAINING,
    }
