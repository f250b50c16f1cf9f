import pytest

from audiomtl import config
from audiomtl.data.pauses import USUAL, pauses_of
from tests.whole_settings import whole_settings


@pytest.mark.parametrize(
    "experiment, changes, expected",
    [
        ("multitask_timit", {}, {"sil"}),
        ("multitask_timit", {"pauses": []}, set()),
        ("multitask_timit", {"pauses": ["sil", "ah"]}, {"sil", "ah"}),
        ("multitask_emodb", {}, {"_"}),
        ("multitask_singing", {}, {"_"}),
        ("ctc_german", {}, {"_"}),
    ],
)
def test_each_corpus_knows_its_pauses(experiment, changes, expected) -> None:
    raw = whole_settings(experiment)
    raw["data"] |= changes
    assert pauses_of(config.settings_of(raw, "test").data) == expected


def test_a_user_s_own_data_have_the_usual_ones() -> None:
    from audiomtl.data.datasets import folder

    data = folder.Settings.model_construct(dataset="folder", pauses=None)
    assert pauses_of(data) == set(USUAL)
