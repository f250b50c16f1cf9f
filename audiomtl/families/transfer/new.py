"""What `audiomtl new` puts into ``templates/transfer.toml``. Contents: `values`."""

from collections.abc import Sequence

NO_PRETRAINING = """[ablation.no_pretraining]          # the same head on means and deviations of log-mel bands
curve = true
extractor.kind = "statistics"

"""


def values(columns: Sequence[str]) -> dict[str, str]:
    """Texts by the names that stand between @ in the template, for a table with these columns."""
    if "embedding_path" in columns:
        return {"EXTRACTOR": "stored", "NOPRETRAINING": ""}
    return {"EXTRACTOR": "yamnet", "NOPRETRAINING": NO_PRETRAINING}
