"""Values that `audiomtl new` inserts into ``templates/mil.toml``. Contents: `values`."""

from collections.abc import Sequence


def values(columns: Sequence[str]) -> dict[str, str]:
    """{name between @ in the template: text} for a table with these columns."""
    return {"WINDOW": "embedding" if "embedding_path" in columns else "answer"}
