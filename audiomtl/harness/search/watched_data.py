"""The data of a study, read once by a worker and watched while it runs. Contents: `StudyData`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import catalog, text
from audiomtl.errors import UserError


@dataclass(frozen=True)
class _Read:
    settings: Any
    raw: Mapping[str, Any]
    table: pd.DataFrame
    signature: str  # cheap: of sizes and times
    hash: str  # of the bytes


class StudyData:
    """Data of a study, by their settings: more than one where a setting of the data is swept."""

    def __init__(self, file: StudyFile) -> None:
        self.file = file
        self.read: dict[str, _Read] = {}

    def hash(self, raw: Mapping[str, Any], name: str) -> str:
        """Fingerprint of the data of a trial called ``name``.

        Raises
        ------
        UserError : settings that do not fit together, or not the data.
        """
        settings = config.settings_of(raw, f"{self.file.path}: {name}")
        key = config.digest([raw["data"], raw.get("text")])
        if key not in self.read:
            table = catalog.clips(settings.data)
            signature = _signature(table, raw)  # before the bytes are read: a change meanwhile shows later
            self.read[key] = _Read(settings.data, raw, table, signature, text.fingerprint(table, raw))
        return self.read[key].hash

    def table(self, raw: Mapping[str, Any], name: str) -> pd.DataFrame:
        """The clip table of a trial called ``name``; errors as of `hash`."""
        self.hash(raw, name)
        return self.read[config.digest([raw["data"], raw.get("text")])].table

    def check(self) -> None:
        """Raise an error if the data have changed since this worker read them."""
        for key, known in self.read.items():
            signature = _signature(known.table, known.raw)
            if signature == known.signature:
                continue
            table = catalog.clips(known.settings)
            if (found := text.fingerprint(table, known.raw)) != known.hash:
                raise UserError(
                    f"{self.file.path}: the data have changed while the study ran (from {known.hash} to"
                    f" {found}): restore them, or change sampler_seed to start a new study"
                )
            self.read[key] = replace(known, table=table, signature=signature)


def _signature(table: pd.DataFrame, raw: Mapping[str, Any]) -> str:
    return catalog.signature(table) + text.dictionary_digest(raw)
