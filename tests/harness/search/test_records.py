"""What a trial's run says of it."""

from dataclasses import replace

import pytest

from audiomtl import config
from audiomtl.harness.search import records
from audiomtl.settings.study import Dimension
from tests.harness.report.conftest import Store, empty, store  # noqa: F401  (fixtures)


@pytest.mark.parametrize(("optimizer", "unused"), [("sgd", None), ("adam", "optimizer.momentum")])
def test_swept_settings_that_a_trial_does_not_use_are_named(store: Store, optimizer, unused) -> None:  # noqa: F811
    file = config.load_study("tiny")
    momentum = Dimension(low=0.1, high=0.9, when={"optimizer.name": ["sgd"]})
    study = file.study.model_copy(update={"search": {**file.study.search, "optimizer.momentum": momentum}})
    raw = config.override(file.experiment.raw, {"optimizer.name": optimizer})
    tags = {"trial": "1", "fingerprint": "f", "data": "d"}
    run = records.open_trial(
        store.tracking, replace(file, study=study), raw, tags, resumed=False, description=""
    )
    assert store.tracking.client.get_run(run).data.tags.get("unused") == unused
