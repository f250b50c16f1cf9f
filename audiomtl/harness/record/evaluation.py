"""Tables that MLflow's pages show: JSON files as `mlflow.log_table` writes them, and the tag that names them.

Written anew they take the place of the earlier ones, where `log_table` would append to them.
Contents: `write`, `of_predictions`, `tag`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

TAG = "mlflow.loggedArtifacts"
MOST_ROWS = 1000  # of a table that a page draws


def write(table: pd.DataFrame, path: Path) -> None:
    """The first `MOST_ROWS` rows as a table of MLflow's."""
    text = table.head(MOST_ROWS).to_json(orient="split", index=False, date_format="iso", default_handler=str)
    path.write_text(text, encoding="utf-8")


def of_predictions(folder: Path) -> list[str]:
    """Beside each table of predictions by clip in a folder (``predictions_SIDE.parquet``) write it for
    MLflow's pages; names of what was written.
    """
    names = []
    for path in sorted(folder.glob("predictions_*.parquet")):
        table = path.with_suffix(".json")
        write(pd.read_parquet(path), table)
        names.append(table.name)
    return names


def tag(names: Sequence[str]) -> dict[str, str]:
    """The tag of a run that has these tables; nothing without any."""
    return {TAG: json.dumps([{"path": name, "type": "table"} for name in names])} if names else {}
