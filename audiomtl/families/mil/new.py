"""What `audiomtl new` puts into ``templates/mil.toml``. Contents: `values`."""

from collections.abc import Sequence


def values(columns: Sequence[str]) -> dict[str, str]:
    """Texts by the names that stand between @ in the template, for a table with these columns."""
    return {"WINDOW": "embedding" if "embedding_path" in columns else "answer"}
