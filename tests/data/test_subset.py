"""The subset of a published set that an experiment is about: whoever has all of the set gets the same clips,
whoever has less of it is told in one line what is missing.
"""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from audiomtl import config
from audiomtl.cli import app
from audiomtl.data import catalog, preflight, subset
from audiomtl.data.datasets import emodb, timit
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.toml import override
from tests.data.datasets.published import sound
from tests.data.datasets.test_emodb import add_clip
from tests.data.datasets.test_timit import utterance

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TABLE = pd.DataFrame(
    {
        "clip_id": list("abcdefgh"),
        "fold": [1, 1, 2, 2, 3, 3, 4, 4],
        "esc10": [True, False] * 4,
        "category": ["dog", "cat"] * 4,
        "tags": [("x",)] * 8,
    }
)


def data(**values) -> DataSet:
    return DataSet(dataset="own", groups=[], subset=values)


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({}, "abcdefgh"),
        ({"esc10": [True]}, "aceg"),
        ({"fold": [1, 3]}, "abef"),
        ({"fold": ["1", "3"], "category": ["dog"]}, "ae"),  # compared as text
        ({"category": ["dog"], "fold": 4, "clip_id": 4}, "aceg"),
        ({"clip_id": 8, "category": 2}, "abcdefgh"),
    ],
)
def test_the_clips_with_the_named_values_are_kept(wanted, kept):
    table = TABLE.copy()
    table.attrs["left_out"] = {"missing": 1}
    found = subset.applied(table, data(**wanted), "here")
    assert "".join(found["clip_id"]) == kept and list(found.index) == list(range(len(kept)))
    assert found.attrs == {"left_out": {"missing": 1}}
    rows = table.to_dict("records")
    lists = {name: value for name, value in wanted.items() if not isinstance(value, int)}
    assert "".join(row["clip_id"] for row in rows if subset.keeps(lists, row)) == kept
    assert all(subset.keeps(wanted, {"other": 1}) for _ in rows)  # what is not known, keeps


@pytest.mark.parametrize(
    ("wanted", "kind", "said"),
    [
        ({"folds": [1]}, UserError, r"^data.subset.folds: the clips of own have no such column; did you mean fold\?; they have clip_id,"),
        ({"fold": [4, 5, 6]}, MissingData, "^data.subset.fold: own in here has no clip with 5, 6, but 1, 2, 3, 4; add the missing recordings, or change data.subset$"),
        ({"fold": 5}, MissingData, r"^data.subset.fold = 5: own in here has 4 values of fold \(1, 2, 3, 4\); add the missing recordings, or"),
        ({"fold": 3}, MissingData, "^data.subset.fold = 3: own in here has 4 values of fold .*; name the values that are meant, or"),
        ({"esc10": [True], "category": ["dog", "cat"]}, MissingData, "^data.subset.category: own in here has no clip with cat"),
        ({"esc10": [True], "clip_id": 5}, MissingData, "^data.subset.clip_id = 5: own in here has 4 clips; add"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_in_one_line(wanted, kind, said):
    with pytest.raises(kind, match=said) as error:
        subset.applied(TABLE, data(**wanted), "here")
    assert "\n" not in str(error.value) and type(error.value) is kind


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "data.subset.fold"),
        (0, "data.subset.fold"),
        ([[1]], "data.subset.fold"),
        ([0.5], "data.subset.fold"),
        (True, "data.subset.fold"),
    ],
)
def test_a_wrong_value_is_refused_when_the_file_is_read(value, said):
    raw = config.load_experiment(str(EXPERIMENTS / "transfer_esc10.toml")).raw
    with pytest.raises(UserError, match=said) as error:
        config.settings_of(override(raw, {"data.subset.fold": value}), "here")
    assert "\n" not in str(error.value)


def test_what_was_recorded_is_compared_with_what_is_here():
    settings = config.settings_of(
        override(
            config.load_experiment(str(EXPERIMENTS / "transfer_esc10.toml")).raw,
            {"data.groups": ["clip_id"], "data.subset.esc10": [True]},
        ),
        "here",
    )
    many = pd.concat([TABLE] * 4, ignore_index=True).assign(category=[f"{i:02}" for i in range(32)])
    then = subset.recorded(TABLE, settings)
    assert then == {
        "clip_id": 8,
        "category": ["cat", "dog"],
        "esc10": ["False", "True"],
        "fold": ["1", "2", "3", "4"],
    }
    assert subset.recorded(many, settings)["category"] == 32  # too many to list
    assert subset.differences(then, then) == []
    here = subset.recorded(TABLE[TABLE["fold"] < 4].assign(category=["dog", "rain"] * 3), settings)
    assert subset.differences(then, here) == [
        "6 clips, recorded 8",
        "category without cat and also rain",
        "fold without 4",
    ]
    assert subset.differences(then, subset.recorded(many, settings))[1] == "32 values of category, recorded 2"
    expected = {"recorded": {"clips": then}}
    assert subset.other_clips(expected, TABLE, settings) == subset.other_clips({}, many, settings) == ""
    assert subset.other_clips(expected, TABLE[:6], settings) == (
        "[expected] was recorded on other clips; here: 6 clips, recorded 8; fold without 4"
    )


# ---------------------------------------------------------------- the published sets, whole and in part


def clips_of(name: str, root: Path, monkeypatch, **changes) -> pd.DataFrame:
    monkeypatch.setenv("AUDIOMTL_DATA", str(root))
    monkeypatch.setenv("AUDIOMTL_CACHE", str(root / "cache"))
    raw = override(config.load_experiment(str(EXPERIMENTS / f"{name}.toml")).raw, changes)
    return catalog.clips(config.settings_of(raw, name).data)


def test_all_of_esc50_gives_the_clips_of_esc10(esc50_layouts, monkeypatch):
    whole, part = esc50_layouts
    for name in ("transfer_esc10", "mil_esc10", "baseline_esc10", "transfer_esc10_logistic"):
        here, there = (
            clips_of(name, root, monkeypatch, **{"data.subset.clip_id": 40}) for root in (whole, part)
        )
        assert here.drop(columns="path").equals(there.drop(columns="path")) and len(here) == 40
        assert here["category"].nunique() == 10 and set(here["fold"]) == {1, 2, 3, 4}
        with pytest.raises(
            MissingData, match=r"^data.subset.clip_id = 320: esc50 in .* has 40 clips; add the"
        ):
            clips_of(name, whole, monkeypatch)


@pytest.fixture(scope="module")
def esc50_layouts(tmp_path_factory) -> tuple[Path, Path]:
    """All of ESC-50, one clip of each class and fold, and its ten classes in four folds."""
    whole, part = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("part")
    rows = [
        (f"{fold}-{target}0{fold}-A-{target}", fold, target) for fold in range(1, 6) for target in range(50)
    ]
    columns = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    for root in (whole, part):
        kept = [row for row in rows if root == whole or (row[2] % 5 == 0 and row[1] < 5)]
        listed = [
            (f"{stem}.wav", fold, target, f"class{target:02}", target % 5 == 0, stem.split("-")[1], "A")
            for stem, fold, target in kept
        ]
        (root / "ESC-50" / "meta").mkdir(parents=True)
        pd.DataFrame(listed, columns=columns).to_csv(root / "ESC-50" / "meta" / "esc50.csv", index=False)
        for stem, *_ in kept:
            sound(root / "ESC-50" / "audio" / f"{stem}.wav", 0.01)
    return whole, part


def test_transfer_esc50_reads_all_of_it_and_refuses_a_part(esc50_layouts, monkeypatch):
    whole, part = esc50_layouts
    changes = {"data.subset.clip_id": 250}
    raw = override(config.load_experiment(str(EXPERIMENTS / "transfer_esc50.toml")).raw, changes)
    table = clips_of("transfer_esc50", whole, monkeypatch, **changes)
    assert len(table) == 250 and not preflight.look(config.settings_of(raw, "here"), table).faults
    with pytest.raises(
        MissingData, match=r"^data.subset.category = 50: esc50 in .* has 10 values of category"
    ):
        clips_of("transfer_esc50", part, monkeypatch)


def test_all_of_emodb_gives_the_same_clips_and_labels_outside_the_subset_are_not_read(tmp_path, monkeypatch):
    chosen = [(speaker, text, mood) for speaker in ("03", "08") for text in ("a01", "b02") for mood in "WN"]
    others = [("15", "a01", "W"), ("03", "b10", "W"), ("03", "a01", "L")]
    labels = "0.1 t,0.2 a,0.9 ."
    for root, rows in (("part", chosen), ("whole", [*chosen, *others])):
        for speaker, text, mood in rows:
            known = (speaker, text, mood) in chosen
            add_clip(
                tmp_path / root / "emodb", f"{speaker}{text}{mood}a", labels if known else "0.1 XYZ,0.9 ."
            )
    wanted = {
        "data.subset.speaker": ["03", "08"],
        "data.subset.sentence": ["a01", "b02"],
        "data.subset.emotion": ["anger", "neutral"],
        "data.subset.clip_id": 8,
    }
    for name in ("ctc_emodb", "mil_emodb", "multitask_emodb"):
        tables = [clips_of(name, tmp_path / root, monkeypatch, **wanted) for root in ("part", "whole")]
        assert tables[0].drop(columns="path").equals(tables[1].drop(columns="path")) and len(tables[0]) == 8
        own = config.load_experiment(str(EXPERIMENTS / f"{name}.toml")).settings.data
        assert own.subset["clip_id"] == 242 and len(own.subset["speaker"]) == 8
    with pytest.raises(UserError, match="XYZ"):
        emodb.clips(emodb.Settings(dataset="emodb", groups=[]), tmp_path / "whole")
    with pytest.raises(
        MissingData, match=r"^data.subset.speaker: emodb in .* has no clip with 09, but 03, 08;"
    ):
        clips_of(
            "mil_emodb",
            tmp_path / "whole",
            monkeypatch,
            **{**wanted, "data.subset.speaker": ["03", "08", "09"]},
        )


TIMIT = [  # folder of the corpus, side
    ("TRAIN/DR1/FVMH0", "train"),
    ("TRAIN/DR2/FAEM0", "train"),
    ("TEST/DR1/MDAB0", "test"),
    ("TEST/DR1/FAKS0", "validation"),
    ("TEST/DR1/MREB1", "rest"),
]


@pytest.fixture(scope="module")
def timit_layouts(tmp_path_factory) -> tuple[Path, Path]:
    """TIMIT in the layout of the corpus, and two of its speakers as the sample."""
    whole, part = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("part")
    for folder, _ in TIMIT:
        utterance(whole / "TIMIT", f"{folder}/SX1.WAV")
    for speaker in ("dr1-fvmh0", "dr2-faem0"):
        utterance(part / "timit", f"{speaker}/sx1.wav")
    return whole, part


def test_all_of_timit_gives_the_clips_of_the_sample(timit_layouts, monkeypatch):
    changes = {"data.subset.speaker": ["fvmh0", "faem0"], "data.subset.clip_id": 2}
    tables = [clips_of("multitask_timit", root, monkeypatch, **changes) for root in timit_layouts]
    assert tables[0]["clip_id"].tolist() == ["dr1-fvmh0-sx1", "dr2-faem0-sx1"]
    assert (
        tables[0]
        .drop(columns=["path", "part", "side"])
        .equals(tables[1].drop(columns=["path", "part", "side"]))
    )


def test_timit_has_its_usual_sides_and_ctc_timit_full_reads_them(timit_layouts, monkeypatch):
    whole, part = timit_layouts
    settings = timit.Settings(dataset="timit", groups=[], sa_sentences="drop")
    found = timit.clips(settings, whole).set_index("speaker")["side"].to_dict()
    assert found == {folder.rpartition("/")[2].lower(): side for folder, side in TIMIT}
    assert (len(set(timit.CORE_TEST)), len(set(timit.DEVELOPMENT))) == (24, 50)
    assert not set(timit.CORE_TEST) & set(timit.DEVELOPMENT)
    changes = {"data.subset.speaker": 4, "data.subset.clip_id": 4}
    raw = override(config.load_experiment(str(EXPERIMENTS / "ctc_timit_full.toml")).raw, changes)
    table = clips_of("ctc_timit_full", whole, monkeypatch, **changes)
    assert set(table["side"]) == {"train", "validation", "test"} and len(table) == 4
    seen = preflight.look(config.settings_of(raw, "here"), table)
    assert not seen.faults and len(seen.divisions[0].sides.train) == 2
    with pytest.raises(
        MissingData, match=r"^data.subset.side: timit in .* has no clip with train, validation, test;"
    ):
        clips_of("ctc_timit_full", part, monkeypatch)


def test_mil_gtzan_reads_the_fault_filtered_lists(tmp_path, monkeypatch):
    genres = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"]
    lines = [f"{genre}/{genre}.{number:05}.wav" for genre in genres for number in range(4)]
    for line in lines:
        sound(tmp_path / "gtzan" / "genres" / line, 0.05)
    for number, name in enumerate(("train", "valid", "test")):  # every fourth clip is in none
        own = lines[number::4]
        (tmp_path / "gtzan" / f"{name}_filtered.txt").write_text("\n".join(own))
    changes = {"data.subset.clip_id": 30}
    raw = override(config.load_experiment(str(EXPERIMENTS / "mil_gtzan.toml")).raw, changes)
    table = clips_of("mil_gtzan", tmp_path, monkeypatch, **changes)
    assert len(table) == 30 and table["side"].value_counts().to_dict() == dict.fromkeys(table["side"], 10)
    assert not preflight.look(config.settings_of(raw, "here"), table).faults
    with pytest.raises(MissingData, match=r"^data.subset.clip_id = 930: gtzan in .* has 30 clips; add"):
        clips_of("mil_gtzan", tmp_path, monkeypatch)


def test_experiments_without_their_data_stop_no_command(tmp_path, monkeypatch):
    """`data` prints one line about each, and goes on."""
    for name in ("AUDIOMTL_DATA", "AUDIOMTL_CACHE", "AUDIOMTL_RUNS"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(EXPERIMENTS.parent)
    done = CliRunner().invoke(app, ["data", "transfer_esc50", "ctc_timit_full", "mil_gtzan"])
    assert done.exit_code == 0
    assert [line[: line.index(" is not in")] for line in done.stdout.splitlines()] == [
        "transfer_esc50: missing: ESC-50",
        "ctc_timit_full: missing: TIMIT",
        "mil_gtzan: missing: GTZAN",
    ]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("fusion_singing", "singing-62a720299326"),
        ("mil_songs", "songs-e3a476aab539"),
        ("transfer_scenes", "scenes-85ea07dfd32d"),
        ("fusion_pictures", "pictures-555160d3c55c"),
        ("quickstart", "german_speech-4dcfcf5b1eab"),
    ],
)
def test_a_generated_corpus_is_not_made_anew_for_a_subset_or_for_a_new_setting_of_all_data_sets(
    name, folder, tmp_path, monkeypatch
):
    places = []
    monkeypatch.setattr(
        "audiomtl.data.corpora.generated.rows", lambda place, *_, **__: places.append(place) or []
    )
    for changes in ({}, {"data.subset.clip_id": 3}, {"data.label": "other"}, {"data.pauses": ["x"]}):
        with pytest.raises((UserError, KeyError, ValueError, AttributeError)):
            clips_of(name, tmp_path, monkeypatch, **changes)
            raise ValueError
    assert {place.name for place in places} == {folder}
