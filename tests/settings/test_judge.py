"""How many trainings judge a trial: what a protocol asks for, what a file says, and the study's identity."""

from typing import Any

import pytest

from audiomtl import config
from audiomtl.settings.judge import Judge, judge_of
from tests.settings.files import STUDY


@pytest.mark.parametrize(
    ("protocol", "over"),
    [
        ({"kind": "folds", "column": "fold"}, "folds"),
        ({"kind": "leave_one_out"}, "folds"),
        ({"kind": "blocks", "rotations": 4}, "folds"),
        ({"kind": "blocks", "rotations": 1}, "one"),
        ({"kind": "split", "column": "side"}, "one"),
        ({"kind": "folds", "column": "fold", "leaky": True}, "one"),  # windows are divided, not clips
    ],
)
def test_without_a_table_the_protocol_decides(protocol: dict[str, Any], over: str) -> None:
    assert judge_of(None, {"protocol": protocol}) == Judge(over=over, n=None, drop=True)
    given = Judge(over="seeds", n=3, drop=False)
    assert judge_of(given, {"protocol": protocol}) == given


def test_what_judges_is_of_the_identity_and_one_training_changes_none(project: Any) -> None:
    identities = []
    for table in ("", '[judge]\nover = "one"\n', '[judge]\nover = "seeds"\nn = 3\n'):
        (project / "studies" / "one.toml").write_text(STUDY.replace("[search]", f"{table}\n[search]"))
        identities.append(config.load_study("one").identity)
    assert identities[0] == identities[1] != identities[2]
