"""EmoDB: a made-up data set in the published layout for every odd case, and the real one where
`AUDIOMTL_DATA` has it.
"""

import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl import config
from audiomtl.data import catalog, protocols
from audiomtl.data.datasets import emodb
from audiomtl.data.datasets.emodb import Settings as EmoDB
from audiomtl.data.splits import check_disjoint, check_phones
from audiomtl.errors import MissingData, UserError

HEADER = "signal wochenAO\ntype 0\nseparator ;\nnfields 1\n#\n"
SETTINGS = EmoDB(dataset="emodb", groups=("speaker", "sentence"))
EXPERIMENT = str(Path(__file__).parents[3] / "experiments" / "ctc_emodb.toml")


def add_clip(root: Path, stem: str, labels: str, *, ending: str = "xx", header: str = HEADER) -> None:
    """One second of a 220 Hz tone and its label file; `labels` is "0.1 t, 0.2 !t" (colour -1 is put in)."""
    for name in ("wav", "lablaut"):
        (root / name).mkdir(parents=True, exist_ok=True)
    soundfile.write(
        root / "wav" / f"{stem}.wav", 0.1 * np.sin(2 * np.pi * 220 * np.arange(16000) / 16000), 16000
    )
    lines = [
        f"    {time}   -1 {label}"
        for time, _, label in (entry.lstrip(" ").partition(" ") for entry in labels.split(","))
        if time
    ]
    (root / "lablaut" / f"{stem}{ending}.lablaut").write_text(
        header + "\n".join(lines) + "\n", encoding="latin-1"
    )


def segments(root: Path, labels: str) -> list[tuple[str, float, float]]:
    """(phone, start, end) of the only clip."""
    add_clip(root, "03a01Fa", labels)
    row = emodb.clips(SETTINGS, root).iloc[0]
    return list(zip(row.phones, row.starts, row.ends, strict=True))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param("0.1 t,0.2 !t,0.3 tasp,0.4 a,0.9 .", [("_", 0, 0.1), ("t", 0.1, 0.4), ("a", 0.4, 0.9), ("_", 0.9, 1)], id="stop"),
        pytest.param("0.1 _d,0.2 !d,0.4 a,0.9 .", [("_", 0, 0.1), ("d", 0.1, 0.4), ("a", 0.4, 0.9), ("_", 0.9, 1)], id="first closure"),
        pytest.param("0.1 d,0.2 !t,0.9 .", [("_", 0, 0.1), ("d", 0.1, 0.9), ("_", 0.9, 1)], id="the closure names the stop"),
        pytest.param("0.1 t,0.2 !,0.9 .", [("_", 0, 0.1), ("t", 0.1, 0.9), ("_", 0.9, 1)], id="burst without a place"),
        pytest.param("0.1 k,0.2 !p,0.9 .", [("_", 0, 0.1), ("k", 0.1, 0.2), ("p", 0.2, 0.9), ("_", 0.9, 1)], id="fused stops are two"),
        pytest.param("0.1 E,0.2 !k,0.9 .", [("_", 0, 0.1), ("E", 0.1, 0.2), ("k", 0.2, 0.9), ("_", 0.9, 1)], id="burst alone is a stop"),
        pytest.param("0.1 n,0.2 n,0.9 .", [("_", 0, 0.1), ("n", 0.1, 0.2), ("n", 0.2, 0.9), ("_", 0.9, 1)], id="twice stays two"),
        pytest.param("0.1 a\t+lar\t2,0.2 \t-lar,0.9 .", [("_", 0, 0.1), ("a", 0.1, 0.9), ("_", 0.9, 1)], id="line inside a segment"),
        pytest.param("0.1 +beh,0.2 I+nas,0.9 .", [("_", 0, 0.2), ("I", 0.2, 0.9), ("_", 0.9, 1)], id="breath first, glued modifier"),
        pytest.param("0.1 a,0.2 (,0.3 (gef,0.4 a,0.9 .", [("_", 0, 0.1), ("a", 0.1, 0.2), ("_", 0.2, 0.4), ("a", 0.4, 0.9), ("_", 0.9, 1)],
            id="pauses"),
        pytest.param("0.0 y,0.5 OY,1.0 .", [("Y", 0, 0.5), ("O", 0.5, 1)], id="no silence around"),
        pytest.param("0.0 j,0.2 9,0.4 u,0.6 i6,1.0 .", [("C", 0, 0.2), ("Y", 0.2, 0.4), ("U", 0.4, 0.6), ("i", 0.6, 1)], id="neighbours"),
        pytest.param("0.1 (,0.2 a,0.5 (,0.9 .", [("_", 0, 0.2), ("a", 0.2, 0.5), ("_", 0.5, 1)], id="pauses at the ends are one"),
    ],
)  # fmt: skip
def test_labels_become_phones_with_times(tmp_path, labels, expected):
    assert segments(tmp_path, labels) == expected


def test_columns_groups_and_order(tmp_path):
    add_clip(tmp_path / "emodb", "11b09Wb", "0.1 a,0.9 .")
    add_clip(tmp_path / "emodb", "03a01Fa", "0.1 a,0.9 .", ending="")  # without "xx"
    table = emodb.clips(SETTINGS, tmp_path)
    assert table[["clip_id", "speaker", "sentence", "emotion"]].to_numpy().tolist() == [
        ["03a01Fa", "03", "a01", "happiness"],
        ["11b09Wb", "11", "b09", "anger"],
    ]
    assert table.text[0] == "Der Lappen liegt auf dem Eisschrank."
    assert table.seconds.tolist() == [1.0, 1.0]
    assert table.path[0] == str(tmp_path / "emodb" / "wav" / "03a01Fa.wav")
    assert table.index.tolist() == [0, 1]


def test_colour_125_and_a_tab_after_the_colour_are_read(tmp_path):
    add_clip(
        tmp_path, "03a01Fa", "0.9 .", header=HEADER + "  0.1  125 a\t+na\n  0.2   -1\t-tie\n  0.3 125 s\n"
    )
    assert emodb.clips(SETTINGS, tmp_path).phones[0] == ["_", "a", "s", "_"]


def test_absent_data_names_folder_content_and_source(tmp_path):
    with pytest.raises(
        MissingData,
        match=(
            r"emodb: put its folders wav/ .* and lablaut/ .* there; published at"
            r" http://emodb\.bilderbar\.info"
        ),
    ):
        emodb.clips(SETTINGS, tmp_path)


def test_every_broken_clip_is_listed_at_once(tmp_path):
    add_clip(tmp_path, "03a01Fa", "0.1 a,0.9 .")
    for stem, labels in {
        "03a01Na": "0.1 a,0.2 qq,0.9 .",
        "03a01Nb": "0.1 a,0.2 e",
        "03a01Nc": "0.3 a,0.2 e,0.9 .",
        "03a01Nd": "x a,0.9 .",
        "03a01Ne": "1.5 a,1.9 .",
        "03a01Nf": "-0.1 a,0.9 .",
    }.items():
        add_clip(tmp_path, stem, labels)
    add_clip(tmp_path, "03a01Ta", "0.1 a,0.9 .", header="nfields 1\n")
    add_clip(tmp_path, "03a01Tb", "0.1 a,0.9 .")
    (tmp_path / "lablaut" / "03a01Tbxx.lablaut").unlink()
    add_clip(tmp_path, "03a01Tc", "0.1 a,0.9 .")
    (tmp_path / "wav" / "03a01Tc.wav").write_bytes(b"RIFF")
    add_clip(tmp_path, "strange", "0.1 a,0.9 .")
    with pytest.raises(UserError) as caught:
        emodb.clips(SETTINGS, tmp_path)
    message = str(caught.value)
    assert (
        "\n" not in message
        and "10 clips" in message
        and "03a01Fa" not in message.split("published files: ")[1].split("strange")[0]
    )
    for reason in (
        "lablaut/03a01Naxx.lablaut line 7: unknown label 'qq'",
        "lablaut/03a01Nbxx.lablaut: the last label, and no other, must be '.'",
        "lablaut/03a01Ncxx.lablaut line 7: times must increase, but got 0.2 after 0.3",
        "lablaut/03a01Ndxx.lablaut line 6: 'x' is not a time",
        "lablaut/03a01Nexx.lablaut: the last phone starts at 1.5 s, but the sound ends at 1.0 s",
        "lablaut/03a01Nfxx.lablaut: times must not be negative, but got -0.1",
        "lablaut/03a01Taxx.lablaut: no line # that ends the header",
        "lablaut/03a01Tbxx.lablaut: no such file",
        "wav/03a01Tc.wav: cannot be read as sound",
        "wav/strange.wav: the name must be",
    ):
        assert reason in message


def test_an_unlabelled_clip_is_left_out_and_counted(tmp_path):
    add_clip(tmp_path, "03a01Fa", "0.1 t,0.2 !t,0.3 \t-sth,0.4 y,0.9 .")
    add_clip(tmp_path, "08a01Wa", "")
    assert emodb.clips(SETTINGS, tmp_path).clip_id.tolist() == ["03a01Fa"]
    assert emodb.label_report(tmp_path).to_numpy().tolist() == [
        ["!t", "t", "joined", 1],
        ["+/-", "", "dropped", 1],
        ["08a01Wa", "", "clip left out", 1],
        ["y", "Y", "renamed", 1],
    ]


def test_the_mapping_is_closed():
    known = set(emodb.PHONES)
    assert len(known) == len(emodb.PHONES) == 39
    assert set(emodb.RENAMED.values()) <= known and not set(emodb.RENAMED) & known
    assert set(emodb.BURSTS.values()) - {""} == set(emodb.PLACES)


def table(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Clips (speaker, sentence, phones as one word; "_" is the pause)."""
    return pd.DataFrame(
        [
            {"clip_id": f"{i}", "speaker": s, "sentence": t, "phones": list(p)}
            for i, (s, t, p) in enumerate(rows)
        ],
        columns=["clip_id", "speaker", "sentence", "phones"],
    )


def test_copy_baseline_averages_the_other_speakers():
    clips = table(
        ("03", "a", "_abcd_"),
        ("03", "a", "abcdef"),
        ("08", "a", "ab_cd"),
        ("09", "a", "abxy"),
        ("09", "b", "zzzz"),
    )
    # clip 0 against "abcd" (0 edits) and "abxy" (2): mean 1 of 4 phones; its speaker's other clip and the
    # other sentence count for nothing
    assert emodb.copy_baseline(clips, clips.iloc[:1]) == pytest.approx(1 / 4)
    # clip 2 against "abcd" (0), "abcdef" (2), "abxy" (2): 4/3 of 4 phones
    assert emodb.copy_baseline(clips, clips.iloc[[0, 2]]) == pytest.approx((1 + 4 / 3) / 8)


def test_copy_baseline_needs_another_speaker():
    clips = table(("03", "a", "ab"), ("03", "a", "ab"), ("08", "b", "ab"))
    with pytest.raises(UserError, match="clip 0 needs another speaker's clip of sentence a"):
        emodb.copy_baseline(clips, clips)


@pytest.fixture(scope="module")
def real() -> Path:
    folder = Path(os.environ.get("AUDIOMTL_DATA", "data"))
    if not (folder / "emodb" / "wav").is_dir():
        pytest.skip(f"no EmoDB in {folder}/emodb: set AUDIOMTL_DATA to a folder that has it")
    return folder


def test_real_clips_are_whole(real):
    clips = emodb.clips(SETTINGS, real)
    assert len(clips) >= 242 and clips.clip_id.is_unique and clips.clip_id.is_monotonic_increasing
    for clip, seconds, phones, starts, ends in clips[
        ["clip_id", "seconds", "phones", "starts", "ends"]
    ].to_numpy():
        assert len(phones) == len(starts) == len(ends) > 5
        assert starts[0] == 0 and ends[-1] == seconds and starts[1:] == ends[:-1]
        assert all(a < b for a, b in pairwise([*starts, seconds])), clip
        assert not any(a == b == "_" for a, b in pairwise(phones))
    assert {phone for found in clips.phones for phone in found} == set(emodb.PHONES)


def test_real_onsets_of_one_clip(real):
    clip = emodb.clips(SETTINGS, real).set_index("clip_id").loc["03a01Fa"]
    assert " ".join(clip.phones) == "_ t E l a p m l i t a f d I m aI s S X a N k _"
    assert clip.starts[:9] == [
        0.0,
        0.080109,
        0.14437,
        0.244223,
        0.348031,
        0.427091,
        0.55166,
        0.602575,
        0.698978,
    ]
    assert clip.ends[-2:] == [1.84139, 1.89825]


def test_real_times_are_onsets(real):
    """Open vowels are far louder than voiceless stops, and the sound before the first label is silence.

    No other reading does that.
    """
    power: dict[str, list[float]] = {"a": [], "k": [], "_": []}
    for path, phones, starts, ends in (
        emodb.clips(SETTINGS, real).head(40)[["path", "phones", "starts", "ends"]].to_numpy()
    ):
        y, rate = soundfile.read(path)
        for phone, start, end in zip(phones, starts, ends, strict=True):
            if phone in power and (phone != "_" or start == 0):
                power[phone].append(
                    10 * np.log10(np.mean(y[int(start * rate) : int(end * rate)] ** 2) + 1e-10)
                )
    assert np.median(power["a"]) > np.median(power["k"]) + 8
    assert np.median(power["k"]) > np.median(power["_"]) + 8


def test_real_splits_hold_on_every_rotation(real):
    clips = emodb.clips(SETTINGS, real)
    protocol = config.load_experiment(EXPERIMENT).settings.protocol
    for seed in range(protocol.rotations):
        splits = protocols.divide(clips, SETTINGS, protocol, seed)
        check_disjoint(splits, SETTINGS.groups)
        check_phones(splits)
        assert len(splits.train) >= 60 and len(splits.test) >= 8


def test_real_copy_baseline_is_low(real):
    clips = emodb.clips(SETTINGS, real)
    assert 0.1 < emodb.copy_baseline(clips, clips) < 0.25


def test_ctc_emodb_is_chosen_on_clips_that_no_seed_tests(real: Path) -> None:
    settings = config.load_experiment(EXPERIMENT).settings
    table = emodb.clips(settings.data, real)
    chosen_on = set(
        protocols.divide(table, settings.data, settings.protocol, settings.study_seed).validation["clip_id"]
    )
    assert len(chosen_on) >= 5
    for seed in settings.seeds:
        assert not chosen_on & set(
            protocols.divide(table, settings.data, settings.protocol, seed).test["clip_id"]
        )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_written_from_it_gives_the_same_clips_and_splits(kind, real, tmp_path, monkeypatch):
    """`ctc_emodb` by ``dataset = "manifest"``: lists in text cells train the same network."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    file = config.load_experiment(EXPERIMENT)
    own = emodb.clips(file.settings.data, real)
    written = own.drop(columns="seconds")
    if kind == "csv":
        for column in ("phones", "starts", "ends"):
            written[column] = [json.dumps(cell) for cell in written[column]]
        written.to_csv(tmp_path / "emodb.csv", index=False)
    else:
        written.to_parquet(tmp_path / "emodb.parquet")
    data = {"dataset": "manifest", "table": str(tmp_path / f"emodb.{kind}"), "on_bad": "error"}
    settings = config.settings_of(
        file.raw | {"data": {**data, "groups": list(file.settings.data.groups)}}, "emodb by a table"
    )
    found = catalog.clips(settings.data)
    pd.testing.assert_frame_equal(found[own.columns], own)
    assert catalog.fingerprint(found) == catalog.fingerprint(own)
    for seed in (*file.settings.seeds, file.settings.study_seed):
        sides = [
            protocols.divide(table, settings.data, settings.protocol, seed).sides() for table in (found, own)
        ]
        for side in sides[0]:
            assert sides[0][side]["clip_id"].tolist() == sides[1][side]["clip_id"].tolist()
