"""What a run depends on, in parts, so that a change can be named: of the data each column, of the code that
of the settings. They are tags of the run beside its keys ``data`` and ``code``.

Contents: `data_of`, `tags`, `TAGS`.
"""

import json
from collections.abc import Mapping
from typing import Any

from audiomtl import config
from audiomtl.data import availability, fetch, hashes
from audiomtl.errors import UserError
from audiomtl.harness.record import provenance

TAGS = COLUMNS, SETTINGS_CODE = "data_columns", "settings_code"
_known: dict[str, dict[str, str]] = {}  # `data_of` by key


def data_of(raw: Mapping[str, Any], settings: Any) -> dict[str, str]:
    """Keys of the clip table, of the files of each of its columns, and of pretrained weights.

    Parameters
    ----------
    raw : an experiment. settings : the same, typed.

    Raises
    ------
    MissingData : a data set or pretrained weights are not on this machine.
    """
    data = hashes.by_column(availability.require(settings), raw)
    for name, weights in availability.weights_of(settings).items():
        data[name] = fetch.digest(fetch.weights(weights))
    return data


def tags(raw: Mapping[str, Any], data: str) -> dict[str, str]:
    """Tags of a run with these settings; without those of its data where they cannot be read here.

    Parameters
    ----------
    data : `text.fingerprint` of its clips. Under it, what `data_of` gives is kept.
    """
    found = {SETTINGS_CODE: provenance.settings_version(raw)}
    try:
        settings = config.settings_of(raw, "settings")
        key = config.digest([data, raw["data"], raw.get("text"), availability.weights_of(settings)])
        if key not in _known:
            _known[key] = data_of(raw, settings)
    except UserError:  # settings that do not go together, data that are missing: the training says which
        return found
    return found | {COLUMNS: json.dumps(_known[key], ensure_ascii=False, sort_keys=True)}
