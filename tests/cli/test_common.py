"""What several subcommands share."""

from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.cli.common import with_data
from audiomtl.errors import MissingData


@pytest.mark.parametrize("named", [False, True])
def test_where_data_are_missing_it_is_said_how_to_tell_where_they_are(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDIOMTL_DATA", raising=False)
    if named:
        monkeypatch.setenv("AUDIOMTL_DATA", str(tmp_path))
    settings = config.load_experiment("mil_gtzan").settings
    if not named:
        monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingData, match="GTZAN is not in") as error:
        with_data(settings)
    assert ("; set AUDIOMTL_DATA=FOLDER" in str(error.value)) is not named
