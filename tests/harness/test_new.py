"""`audiomtl new`: recordings of one's own become an experiment and a study that fit them, as they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio, fetch, preflight
from audiomtl.errors import MissingData, UserError
from audiomtl.harness import new

FAMILIES = ("baseline", "ctc", "fusion", "mil", "multitask", "transfer")
SPEAKERS, DIGITS = 4, 3
WORDS = ("null", "eins", "zwei")
PHONES = (["n", "U", "l"], ["aI", "n", "s"], ["ts", "v", "aI"])


def noise(path: Path, seed: list[int], *, seconds: float = 0.45, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    y = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))
    audio.save(path, y.clip(-1, 1), sample_rate=rate)


def rows(count: int = 36) -> pd.DataFrame:
    """Spoken digits: 0.45 s at 8 kHz."""
    numbers = np.arange(count)
    digit = numbers % DIGITS
    return pd.DataFrame(
        {
            "path": [f"{number:03}.wav" for number in numbers],
            "digit": [f"digit {each}" for each in digit],
            "speaker": [f"s{number // DIGITS % SPEAKERS}" for number in numbers],
            "text": [WORDS[each] for each in digit],
            "phones": [PHONES[each] for each in digit],
            "starts": [[0.0, 0.1, 0.2]] * count,
            "ends": [[0.1, 0.2, 0.3]] * count,
            "pitch": digit * 10.0 + 100,
        }
    )


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """36 clips of 0.45 s at 8 kHz, and tables of them."""
    folder = tmp_path_factory.mktemp("project")
    for number in range(36):
        noise(folder / "mine" / f"{number:03}.wav", [number])
    table = rows()
    table.to_parquet(folder / "mine" / "all.parquet")
    for name, columns in {
        "digits": ["path", "digit", "speaker"],
        "plain": ["path", "digit"],
        "text": ["path", "text", "speaker"],
        "files": ["path"],
    }.items():
        table[columns].to_csv(folder / "mine" / f"{name}.csv", index=False)
    rare = np.where(np.arange(36) % 6 == 0, "rare", "often")
    table.assign(digit=rare)[["path", "digit", "speaker"]].to_csv(folder / "mine/unequal.csv", index=False)
    table[["path", "digit"]].assign(fold=np.arange(36) // 3 % 3).to_csv(folder / "mine/fold.csv", index=False)
    sides = np.array(["train", "validation", "test"])[np.arange(36) // 3 % 3]
    table[["path", "digit"]].assign(split=sides).to_csv(folder / "mine/split.csv", index=False)
    crossed = table[["path", "digit", "speaker"]].assign(sentence=[f"t{n // 12}" for n in range(36)])
    crossed.to_csv(folder / "mine/crossed.csv", index=False)
    tags = [["[]", '["rain"]', '["rain", "wind"]'][number % 3] for number in range(36)]
    table[["path", "speaker"]].assign(tags=tags).to_csv(folder / "mine/tags.csv", index=False)
    named = table[["digit", "speaker"]].assign(recording=table["path"])
    named.to_csv(folder / "mine/named.csv", index=False, sep=";")
    columns = table[["path", "speaker"]].assign(rain=np.arange(36) % 2, wind=np.arange(36) // 2 % 2)
    columns.to_csv(folder / "mine/columns.csv", index=False)
    bad = pd.concat([table[["path", "digit"]], pd.DataFrame([{"path": "gone.wav", "digit": "digit 1"}])])
    bad.to_csv(folder / "mine/bad.csv", index=False)
    for name, cells in {"notes": [[0.0, 0.1, 60]], "passages": [[0.0, 0.2]]}.items():
        table[["path", "speaker"]].assign(**{name: [json.dumps(cells)] * 36}).to_csv(
            folder / f"mine/{name}.csv", index=False
        )
    spans = pd.read_csv(folder / "mine/passages.csv").assign(digit=table["digit"])
    spans.to_csv(folder / "mine/passages.csv", index=False)
    loud = table[["path", "speaker"]].assign(loud=np.arange(36) / 40 + 0.25)
    loud.to_csv(folder / "mine/value.csv", index=False)
    table[["path", "digit"]].head(2).to_csv(folder / "mine/two.csv", index=False)
    return folder


@pytest.fixture(autouse=True)
def project(recordings, monkeypatch) -> Path:
    monkeypatch.chdir(recordings)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(recordings / "cache"))
    monkeypatch.setattr(new, "weights", lambda name: Path("yamnet.h5"))
    monkeypatch.setattr(fetch, "weights", lambda name: Path("yamnet.h5"))
    for folder in ("experiments", "studies"):
        for path in Path(folder).glob("*.toml"):
            path.unlink()
    return recordings


def written(table: str, **options: Any) -> tuple[dict[str, Any], str, new.Written]:
    """Raw settings, the text of the file and what was said; every seed of it can be trained on."""
    found = new.write("mine", f"mine/{table}", **options)
    study = config.load_study("mine")
    text = found.paths[0].read_text(encoding="utf-8")
    assert "@" not in text + found.paths[1].read_text(encoding="utf-8")
    flat = " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    # what was assumed stands in the file
    assert all(line in flat.replace("- ", "") or "- " in line for line in found.said), found.said
    settings: Any = study.experiment.settings
    seen = preflight.look(settings, preflight.catalog.clips(settings.data))
    assert not seen.faults and all(one.sides is not None for one in seen.divisions)
    return study.raw, text, found


@pytest.mark.parametrize("model", FAMILIES)
def test_every_family_learns_from_a_table(model):
    raw, text, _ = written("all.parquet", model=model)
    assert raw["model"] == model and raw["data"]["groups"] == ["speaker"]
    # one speaker after the other is tested
    assert raw["protocol"]["kind"] == "leave_one_out" and raw["seeds"] == [1, 2, 3, 4]
    if "features" in raw:
        features = raw["features"]
        assert features["sample_rate"] == 8000 and features["high_hz"] <= 4000
        assert features["window_seconds"] <= 0.032 and features["hop_seconds"] <= 0.0101
    assert "warning: 9 test clips" in text
    assert ("label" in raw["data"]) == (model != "ctc")


@pytest.mark.parametrize(
    ("table", "options", "wanted"),
    [
        ("digits.csv", {}, {"model": "transfer", "data.label": "digit"}),
        ("plain.csv", {"model": "mil"}, {"protocol.kind": "folds", "protocol.folds": 5, "data.groups": []}),
        ("fold.csv", {"model": "mil"}, {"protocol.kind": "folds", "protocol.column": "fold", "seeds": [1, 2, 3]}),
        ("split.csv", {"model": "mil"}, {"protocol.kind": "split", "protocol.column": "split"}),
        # half of the clips would be dropped by blocks of 3 sentences and 4 speakers
        ("crossed.csv", {"model": "baseline"}, {"protocol.kind": "leave_one_out", "data.groups": ["sentence"]}),
        ("unequal.csv", {"model": "baseline"}, {"class_weights": "balanced"}),
        ("unequal.csv", {"model": "mil"}, {"class_weights": "balanced", "training.monitor": "validation/balanced_accuracy"}),
        ("unequal.csv", {"model": "multitask"}, {"heads.digit.class_weights": "balanced"}),
        ("digits.csv", {"model": "mil"}, {"windows.seconds": 0.11, "training.epochs": 60, "training.patience": 15}),
        ("text.csv", {"model": "ctc"}, {"text.column": "text", "text.units": "letters"}),
        ("text.csv", {"model": "ctc", "language": "de"}, {"text.column": "text", "text.language": "de"}),
        ("text.csv", {}, {"model": "ctc"}),
        ("all.parquet", {}, {"model": "ctc"}),
        ("all.parquet", {"label": "digit"}, {"model": "transfer"}),
        ("tags.csv", {"model": "mil"}, {"data.labels": "several", "data.label": "tags"}),
        ("columns.csv", {"model": "baseline", "label": "rain,wind"}, {"data.label": ["rain", "wind"]}),
        ("named.csv", {"model": "baseline"}, {"data.path_column": "recording", "data.groups": ["speaker"]}),
        ("named.csv", {"model": "baseline", "path": "recording", "groups": "speaker"}, {"data.path_column": "recording"}),
        ("notes.csv", {}, {"model": "multitask", "heads.notes.kind": "notes", "features.hop_seconds": 0.01}),
        ("value.csv", {}, {"model": "multitask", "heads.loud.kind": "value", "heads.loud.column": "loud"}),
        ("passages.csv", {"model": "multitask"}, {"heads.digit.kind": "clip_class", "heads.activity.kind": "segments"}),
        ("tags.csv", {"model": "multitask"}, {"heads.tags.kind": "tags"}),
        ("bad.csv", {"model": "baseline", "on_bad": "skip"}, {"data.on_bad": "skip"}),
    ],
)  # fmt: skip
def test_the_settings_fit_the_table(table, options, wanted):
    raw, _, _ = written(table, **options)
    flat = config.flatten(raw)
    assert {path: flat.get(path) for path in wanted} == wanted


@pytest.mark.parametrize(
    ("seconds", "rate", "wanted"),
    [
        (5.0, 44100, {"features.sample_rate": 22050, "windows.seconds": 1.2, "features.n_fft": 1024}),
        (1.0, 16000, {"features.sample_rate": 16000, "windows.seconds": 0.25, "features.n_fft": 512}),
    ],
)
def test_lengths_and_rates_decide(seconds, rate, wanted, tmp_path):
    for number in range(9):
        noise(tmp_path / "clips" / "ab"[number % 2] / f"{number}.wav", [number], seconds=seconds, rate=rate)
    new.write("mine", str(tmp_path / "clips"), model="mil")
    flat = config.flatten(config.load_experiment("mine").raw)
    assert {path: flat[path] for path in wanted} == wanted


def test_a_folder_of_folders_is_enough(tmp_path):
    for number in range(12):
        noise(tmp_path / "birds" / ["finch", "owl"][number % 2] / f"{number}.wav", [number], seconds=2.5)
    found = new.write("mine", str(tmp_path / "birds"))
    raw = config.load_experiment("mine").raw
    assert (raw["model"], raw["data"]["dataset"], raw["data"]["label"]) == ("mil", "folder", "label")
    assert any("clips of 2.5 s are sets of windows" in line for line in found.said)
    assert any("name what clips have in common" in line for line in found.said)


@pytest.mark.parametrize("kind", ["embedding_path", "array_path"])
def test_stored_arrays(kind, tmp_path):
    for number in range(24):
        np.save(tmp_path / f"{number}.npy", np.random.default_rng(number).normal(size=(20, 12)))
    table = pd.DataFrame({kind: [f"{n}.npy" for n in range(24)], "label": ["a", "b", "c"] * 8})
    table.to_csv(tmp_path / "x.csv", index=False)
    new.write("mine", str(tmp_path / "x.csv"))
    raw = config.load_experiment("mine").raw
    assert raw["model"] == ("transfer" if kind == "embedding_path" else "mil")
    if kind == "array_path":
        assert raw["features"]["bands"] == 12


def test_the_weights_of_yamnet_decide_too(monkeypatch):
    def absent(name: str) -> Path:
        raise MissingData("no weights")

    monkeypatch.setattr(new, "weights", absent)
    found = new.write("mine", "mine/digits.csv")
    assert config.load_experiment("mine").raw["model"] == "baseline"
    assert any("needs YAMNet's weights" in line for line in found.said)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "mill"}, "--model mill: no template; did you mean mil?; available: auto, baseline"),
        ({"label": "digti"}, "--label digti: mine/digits.csv has no such column; did you mean digit?; it has path"),
        ({"groups": "singer"}, "--groups singer: mine/digits.csv has no such column"),
        ({"groups": "speaker,singer"}, "--groups singer: mine/digits.csv has no such column"),
        ({"where": "none.csv"}, "--data none.csv: no such file"),
        ({"where": "none"}, "--data none: no such file or folder"),
        ({"where": "mind"}, "--data mind: no such file or folder; did you mean mine?"),
        ({"name": "a b"}, "a b: an experiment name may contain only letters"),
        ({"model": "ctc"}, "--model ctc: mine/digits.csv: it learns phones or transcripts, but no column has them"),
        ({"model": "fusion"}, "--model fusion: mine/digits.csv: it joins several inputs, but the clips have one"),
        ({"where": "mine/text.csv", "model": "mil"}, "--model mil: mine/text.csv: it learns classes, but there is no"),
        ({"where": "mine/files.csv"}, "--data mine/files.csv: no family can learn from these columns: path"),
        ({"where": "mine/two.csv"}, "--data mine/two.csv: has 2 clips; at least 3 are needed"),
        ({"where": "mine/bad.csv"}, "gone.wav: no such file; fix them, or leave them out with --on-bad skip"),
        ({"path": "file"}, "--data mine/digits.csv"),
        ({"language": "de"}, "--language de: transfer learns no transcripts from these columns"),
        ({"where": "mine/all.parquet", "language": "de"}, "--language de: ctc learns no transcripts"),
        ({"where": "mine/text.csv", "language": "dee"}, 'text.language = "dee"'),
        ({"groups": "digit"}, "no split into train, validation and test can be trained on: "),
    ],
)  # fmt: skip
def test_mistakes_are_refused_and_nothing_is_written(change, message):
    options = {"name": "mine", "where": "mine/digits.csv", **change}
    with pytest.raises(UserError) as error:
        new.write(**options)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not list(Path().glob("*/*.toml"))


def test_a_file_that_is_there_is_kept():
    new.write("mine", "mine/digits.csv")
    with pytest.raises(UserError, match=r"^experiments/mine.toml, studies/mine.toml: already exist; choose"):
        new.write("mine", "mine/digits.csv")
    Path("studies/mine.toml").unlink()
    with pytest.raises(UserError, match=r"^experiments/mine.toml: already exists"):
        new.write("mine", "mine/digits.csv")


@pytest.mark.parametrize("options", [{}, {"model": "mil"}, {"label": "category"}])
@pytest.mark.parametrize("where", ["esc", "esc/audio"])
def test_a_folder_without_classes_names_the_tables(tmp_path, monkeypatch, where, options):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        noise(Path("esc", "audio", f"{number}.wav"), [number])
    Path("esc", "meta").mkdir()
    Path("esc", "meta", "esc50.csv").write_text("filename,category\n0.wav,dog\n1.wav,cat\n")
    Path("esc", "meta", "other.csv").write_text("a,b\n1,2\n")
    needed = f"classes need one folder per class, such as {where}/dog/ and {where}/rain/"
    with pytest.raises(
        UserError, match=f"{needed}, or name the table that lists them: --data esc/meta/esc50.csv$"
    ):
        new.write("esc", where, **options)


def test_every_family_has_both_templates():
    from audiomtl.harness import templates

    assert tuple(templates.names()) == FAMILIES == tuple(config.families())
    for name in FAMILIES:
        assert (templates.TEMPLATES / f"{name}_study.toml").is_file()


@pytest.mark.parametrize(
    "model", [name for name in FAMILIES if name != "transfer"]
)  # which needs real weights
def test_what_is_written_can_be_read_by_its_family(model):
    new.write("mine", "mine/all.parquet", model=model)
    settings = config.load_experiment("mine").settings
    prepared = config.family("model", model).prepare(settings, settings.seeds[0])
    assert [len(prepared.examples[side]) for side in ("train", "validation", "test")] == [18, 9, 9]
