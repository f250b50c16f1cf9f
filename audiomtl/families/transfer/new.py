"""Values that `audiomtl new` inserts into ``templates/transfer.toml``. Contents: `values`."""

from collections.abc import Sequence

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


def values(columns: Sequence[str]) -> dict[str, str]:
    """{name between @ in the template: text} for a table with these columns."""
    if "embedding_path" in columns:
        return {"EXTRACTOR": "stored", "WEIGHTS": "", "NOPRETRAINING": ""}
    return {"EXTRACTOR": "yamnet", "WEIGHTS": 'weights = ""\n', "NOPRETRAINING": NO_PRETRAINING}
