"""Text and notes of recordings by the best run of a small multi-task experiment.

What a person may get wrong is one line.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl import config
from audiomtl.data import alignments, audio, catalog, protocols, scaling, scores
from audiomtl.data.alignments import Alignment
from audiomtl.data.answers import Span
from audiomtl.errors import UserError
from audiomtl.families.contract import Fitted, compiled
from audiomtl.families.ctc import model as family
from audiomtl.families.ctc.model import Known
from audiomtl.families.ctc.network import recurrent_network
from audiomtl.harness.use import align as aligning
from audiomtl.harness.use.inputs import Asked, recording
from audiomtl.harness.use.models import opened
from audiomtl.harness.use.predict import Request, predict
from audiomtl.harness.use.texts import Task
from audiomtl.settings.toml import as_toml
from tests.harness.conftest import Project
from tests.whole_settings import whole_settings

PROJECT = Path(__file__).parents[3]
SMALL = {
    "seeds": [1],
    "data.singers": 3,
    "data.songs": 1,
    "data.phrases": 4,
    "features.bands": 32,
    "features.hop_seconds": 0.032,
    "encoder.kind": "recurrent",
    "encoder.filters": [4, 4],
    "encoder.pool_bands": [4, 4],
    "encoder.units": 8,
    "training.epochs": 3,
    "training.batch_size": 2,
}


def write(project: Project, name: str, **changes) -> None:
    raw = whole_settings("multitask_singing")
    raw = config.override(raw, SMALL | {path.replace("__", "."): value for path, value in changes.items()})
    others = "".join(f"heads.{head}.weight = 0.0\n" for head in ("melody", "voice", "piano", "vocals"))
    others += "".join(f'decoding.{head}.method = "greedy"\n' for head in ("melody", "voice", "piano"))
    arms = (
        f"\n[ablation.text_alone]\ncurve = true\n{others}\n[ablation.slower]\noptimizer.learning_rate ="
        " 0.001\n"
    )
    text = 'acknowledged = ["small_validation"]\n' + as_toml(raw, 1) + arms
    (project.folder / "experiments" / f"{name}.toml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with one best run of a tiny singer; tests leave its runs as they were."""
    with pytest.MonkeyPatch.context() as patch:
        project = Project(tmp_path_factory.mktemp("sung") / "project", patch)
        patch.setenv("AUDIOMTL_CACHE", str(tmp_path_factory.getbasetemp() / "sung_cache"))
        write(project, "sing")
        project.run("best", "sing", "--slots", "1")
        yield project


@pytest.fixture(scope="module")
def row(trained) -> dict:
    """A clip of the train side, whose phones the model knows."""
    settings = config.load_experiment("sing").settings
    return protocols.divide(catalog.clips(settings.data), settings.data, settings.protocol, 1).train.to_dict(
        "records"
    )[0]


def aligned(sound: str | Path, text: str, **options) -> Alignment:
    given = {"phones": False, "seed": None, "to": "", "force": False} | options
    return aligning.align(config.load_experiment("sing"), Path(sound), text, **given)


@pytest.mark.slow
def test_words_become_the_phones_that_were_sung_in_order(trained, row) -> None:
    found = aligned(row["path"], row["text"])
    assert [one.label for one in found.phones] == [phone for phone in row["phones"] if phone != "_"]
    assert [one.label for one in found.words] == row["text"].split()
    times = [time for one in found.phones for time in (one.start_seconds, one.end_seconds)]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= row["seconds"]
    assert all(one.end_seconds > one.start_seconds for one in found.phones)
    assert aligned(row["path"], " ".join(row["phones"]), phones=True).phones == found.phones


@pytest.mark.slow
def test_the_command_writes_what_it_prints(trained, row, tmp_path) -> None:
    """A stereo FLAC of another rate, heard from any folder; the text in a file with a byte order mark."""
    y = audio.load(row["path"], sample_rate=44100)
    soundfile.write(tmp_path / "a song.flac", np.stack([y, y], axis=1), 44100)
    (tmp_path / "words.txt").write_text(row["text"].upper() + "!\n", encoding="utf-8-sig")
    said = trained.run(
        "align", "sing", str(tmp_path / "a song.flac"), str(tmp_path / "words.txt"), "--to", "out.csv"
    )
    table = pd.read_csv(trained.folder / "out.csv")
    assert list(table.columns) == [
        *("word", "phone", "start_seconds", "end_seconds", "confidence", "word_confidence")
    ]
    lines = said.splitlines()[1:-1]
    assert [line.split()[2] for line in lines] == list(table["phone"]) and said.splitlines()[
        -1
    ] == "out.csv written"
    assert [line.split()[4] for line in lines if len(line.split()) > 4] == row["text"].upper().split()

    said = trained.run("notes", "sing", str(tmp_path / "a song.flac"))
    assert "\na song.mid: melody " in said and "piano" in said and "voice" in said
    assert "already exists" in trained.run("notes", "sing", str(tmp_path / "a song.flac"), code=2)


def transcribed(sound: Path, to: Path, **options) -> bool:
    return predict("sing", Request([sound], str(to), kinds=("notes",), **options))


@pytest.mark.slow
def test_notes_come_back_from_the_file(trained, row, tmp_path) -> None:
    """Thresholds of a network that hardly learned say little: heads are lowered until there are notes."""
    place, loaded = tmp_path / "all.mid", opened("sing")
    assert transcribed(Path(row["path"]), place)
    [heard] = loaded.use.respond(loaded.fitted, [recording(Asked("", Path(row["path"])), 16000)])
    counts = {name: len(one.notes) for name, one in heard.answers.items() if loaded.gives[name] == "notes"}
    assert set(counts) == {"melody", "voice", "piano"}
    for name, count in counts.items():
        notes = scores.read_notes(place, instrument=name)
        assert len(notes) == count
        if count:
            assert np.allclose(notes, scores.checked("", heard.answers[name].notes), atol=1e-4)
    assert transcribed(Path(row["path"]), place, head="voice", force=True)
    assert len(scores.read_notes(place, instrument="voice")) == counts["voice"]
    with pytest.raises(UserError, match="no track"):
        scores.read_notes(place, instrument="piano")


@pytest.mark.slow
def test_the_best_run_has_its_pictures(trained) -> None:
    [folder] = trained.runs.glob("artifacts/sing/*/artifacts")
    names = {path.name for path in folder.glob("*.png")}
    assert {"learning_curves.png", "loss_weights.png"} < names and sum(
        name.startswith("heard_") for name in names
    ) == 3


@pytest.mark.slow
@pytest.mark.long
def test_the_label_curve_has_tasks_alone_beside_it(trained) -> None:
    said = trained.run("ablations", "sing", "--curve", "--fractions", "0.5", "1.0", "--slots", "1")
    table = pd.read_csv(trained.runs / "report" / "curve_sing.csv")
    assert [tuple(row) for row in table[["trained", "train_share", "train_clips"]].to_numpy()] == [
        ("sing", 0.5, 2), ("sing", 1.0, 4), ("text_alone", 0.5, 2), ("text_alone", 1.0, 4)
    ]  # fmt: skip
    assert (trained.runs / "report" / "curve_sing.png").is_file() and "text_alone" in said


# ---------------------------------------------------------------- mistakes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "phones", "reason"),
    [
        ("qq 5", True, r'unknown symbols: "qq", "5": the model knows (\S+ )+\S+$'),
        ("Jeans", False, r'unknown symbols: "dʒ" of Jeans.*with hyphens between syllables'),
        (
            "_ WORD " * 2000,
            True,
            r"a text of 2000 phones is longer than the recording: [\d.]+ s have \d+ steps of 0\.032 s",
        ),
        ("WORD " * 150, False, r"a text of \d+ phones is longer than the recording"),
        ("WORD " * 2000, False, r"a text of 2000 words is longer than the recording"),
    ],
)
def test_texts_that_cannot_be_sung(trained, row, text, phones, reason) -> None:
    with pytest.raises(UserError, match=reason) as error:
        aligned(
            row["path"],
            text.replace("WORD", row["phones"][1] if phones else row["text"].split()[0]),
            phones=phones,
        )
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_sounds_that_cannot_be_heard(trained, row, tmp_path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "empty.wav", np.empty(0), 16000)
    soundfile.write(tmp_path / "click.wav", np.zeros(400), 16000)
    for name, reason in (
        ("none.wav", "no such file"),
        ("text.wav", "cannot be read as sound"),
        ("empty.wav", "the file is empty"),
        ("click.wav", "400 samples at 16000 Hz is shorter than two steps"),
    ):
        with pytest.raises(UserError, match=reason):
            aligned(tmp_path / name, "Mond")
    assert not transcribed(tmp_path / "text.wav", tmp_path / "x.mid")
    assert not (tmp_path / "x.mid").exists()


@pytest.mark.slow
def test_silence_has_its_file_and_its_text(trained, row, tmp_path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 16000)
    assert transcribed(tmp_path / "silence.wav", tmp_path / "x.mid")
    assert len(scores.read_notes(tmp_path / "x.mid", instrument="piano")) >= 0
    said = aligned(tmp_path / "silence.wav", " ".join(row["phones"][:4]), phones=True)
    assert [one.label for one in said.phones] == row["phones"][1:4]


@pytest.fixture
def untrained(project, monkeypatch) -> Project:
    """A project without runs."""
    write(project, "sing")
    write(project, "given", inputs__score="given_notes", encoder__kind="recurrent")
    soundfile.write(project.folder / "a.wav", np.zeros(16000), 16000)
    (project.folder / "there.csv").write_text("mine")
    (project.folder / "blank.txt").write_text(" \n")
    (project.folder / "binary.txt").write_bytes(b"\xff\xfe\x00\xd8")
    return project


@pytest.mark.parametrize(
    ("name", "text", "options", "reason"),
    [
        ("sing", "Mond", {}, r"no recorded best run; run `audiomtl best sing`"),
        ("sing", "", {}, r"TEXT: contains no words"),
        ("sing", "?! ...", {}, r"TEXT: contains no words"),
        ("sing", "  ", {"phones": True}, r"TEXT: contains no phones"),
        ("sing", "blank.txt", {}, r"blank.txt: contains no words"),
        ("sing", "binary.txt", {}, r"binary.txt: cannot be read as text"),
        ("sing", "nowhere.txt", {}, r"nowhere.txt: no such file"),
        ("sing", "Mond", {"to": "x.xml"}, r"--to x.xml: must end in .csv, .TextGrid, .txt, .ctm"),
        ("sing", "Mond", {"to": "no/x.csv"}, r"--to no/x.csv: no such folder no"),
        ("sing", "Mond", {"to": "there.csv"}, r"there.csv: already exists; use --force"),
        (
            "tiny",
            "Mond",
            {},
            r'model = "tinylab.tone": this family does not support the command; supported by: ctc, multitask',
        ),
        ("given", "Mond", {}, r'inputs.score = "given_notes": the model needs the score'),
    ],
)
def test_mistakes_before_any_work(untrained, name, text, options, reason) -> None:
    given = {"phones": False, "seed": None, "to": "", "force": False} | options
    with pytest.raises(UserError, match=reason) as error:
        aligning.align(config.load_experiment(name), Path("a.wav"), text, **given)
    assert "\n" not in str(error.value) and (untrained.folder / "there.csv").read_text() == "mine"


def test_heads_that_are_not_there(untrained) -> None:
    write(untrained, "sing", heads__text__train_only=True)
    with pytest.raises(
        UserError,
        match=r"no head of kind alignment that is trained and kept; its heads: text \(alignment\), melody",
    ):
        aligning.align(
            config.load_experiment("sing"), Path("a.wav"), "Mond", phones=False, seed=None, to="", force=False
        )


# ---------------------------------------------------------------- files


FOUND = Alignment(
    (Span(0.1, 0.25, "m", 0.5), Span(0.25, 0.5, "oː", 0.75), Span(0.6, 1.0, 'a"', 0.125)),
    (Span(0.1, 0.5, "Mo", 0.625), Span(0.6, 1.0, "A", 0.125)),
    (0, 2),
    1.0,
)


def test_every_file_says_the_same() -> None:
    assert aligning._csv(FOUND, "a").splitlines() == [
        "word,phone,start_seconds,end_seconds,confidence,word_confidence",
        "Mo,m,0.100,0.250,0.5000,0.6250",
        "Mo,oː,0.250,0.500,0.7500,0.6250",
        'A,"a""",0.600,1.000,0.1250,0.1250',
    ]
    assert aligning._labels(FOUND, "a") == "0.100000\t0.500000\tMo\n0.600000\t1.000000\tA\n"
    assert (
        aligning._ctm(FOUND, "my song") == "my_song 1 0.100 0.400 Mo 0.6250\nmy_song 1 0.600 0.400 A 0.1250\n"
    )
    assert aligning.table(FOUND).splitlines()[1].split() == ["0.100", "0.250", "m", "0.50", "Mo"]
    alone = Alignment(FOUND.phones, (), (), 1.0)
    assert aligning._labels(alone, "a").splitlines()[1] == "0.250000\t0.500000\toː"
    assert ",m,0.100,0.250,0.5000,\n" in aligning._csv(alone, "a")
    assert aligning.rows(FOUND)[1] == ("Mo", "oː", 0.25, 0.5, 0.75, 0.625)
    assert aligning._ctm(alone, "a").splitlines()[1] == "a 1 0.250 0.250 oː 0.7500"


@pytest.mark.parametrize(("said", "told"), [(0.04, True), (0.5, False), (float("nan"), False)])
def test_a_text_that_was_not_said_is_told(said, told) -> None:
    found = replace(FOUND, said=said)
    line = "this text was probably not said"
    task = Task(Path("a.wav"), "a", "Mo A", "a.lab")
    assert (line in aligning.table(found)) == (line in aligning._line(task, found, Path("a.csv"))) == told


def test_a_text_grid_is_edge_to_edge() -> None:
    text = aligning._text_grid(FOUND, "a")
    tiers = text.split("    item [")[1:]
    assert ['name = "words"' in tiers[0], 'name = "phones"' in tiers[1]] == [
        True,
        True,
    ] and 'text = "a"""' in tiers[1]
    for tier in tiers:
        spans = [line.split(" = ")[1] for line in tier.splitlines() if line.startswith("            xm")]
        assert spans[0] == "0.000000" and spans[-1] == "1.000000" and spans[1:-1:2] == spans[2::2]
        assert f"intervals: size = {len(spans) // 2}" in tier


@pytest.mark.parametrize(
    ("symbol", "near"),
    [("g", ["ɡ"]), ("o", ["oː", "ɔ", "øː"]), ("r", ["ʁ"]), ("E", ["ɛ", "eː"]), ("ʒ", []), ("5", [])],
)
def test_the_same_letter_in_another_shape_is_near(symbol, near) -> None:
    assert alignments._near(symbol, ["_", "eː", "m", "oː", "øː", "ɔ", "ɛ", "ɡ", "ʁ"]) == near


# ---------------------------------------------------------------- many recordings


@pytest.fixture
def spoken(monkeypatch, tmp_path) -> Path:
    """A folder of recordings with texts, and an untrained CTC model in the place of a best run."""
    raw = config.override(whole_settings("quickstart"), {"text.units": "letters"})
    settings = config.settings_of(raw, "test")
    bands = settings.features.n_bands
    network = recurrent_network(bands, 4, units=(4,), convolution_filters=4, time_reduction=2)
    scaler = scaling.fit([np.zeros((1, bands), np.float32)], "minmax")
    known = Known(("a", "b", "c"), scaler, "ctc")
    fitted = Fitted(network, settings, known, compiled(network), network.count_params())
    run = SimpleNamespace(info=SimpleNamespace(run_id="1"))
    monkeypatch.setattr(aligning, "recorded_model", lambda file, seed: (fitted, run))
    random = np.random.default_rng(0)
    for name, text in (("x/one", "ab, c!"), ("two", "CAB"), ("three", "b"), ("four", "abcq"), ("five", "?")):
        place = tmp_path / "corpus" / f"{name}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(place, 0.1 * random.standard_normal(16000), 16000)
        place.with_suffix(".txt").write_text(text)
    (tmp_path / "corpus" / "three.wav").write_bytes(b"no sound")
    return tmp_path / "corpus"


def many(source: Path, to: Path | str, **options) -> bool:
    given = {"phones": False, "seed": None, "form": "csv", "force": False} | options
    file = config.load_experiment(str(PROJECT / "experiments" / "quickstart.toml"))
    return aligning.align_many(file, source, to=str(to), **given)


def test_a_recording_that_cannot_be_aligned_costs_that_one_only(spoken, tmp_path, capsys) -> None:
    assert not many(spoken, tmp_path / "out")
    said = capsys.readouterr()
    written = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.csv"))
    assert written == [Path("two.csv"), Path("x/one.csv")] and "2 of 5 recordings aligned" in said.out
    assert list(pd.read_csv(tmp_path / "out" / "two.csv")["phone"]) == ["c", "a", "b"]
    assert list(pd.read_csv(tmp_path / "out" / "x" / "one.csv")["word"]) == ["ab", "ab", "c"]
    faults = said.err.splitlines()
    assert len(faults) == 3 and all(line.startswith("audiomtl: ") for line in faults)
    assert "five.txt: contains no words" in said.err and 'unknown symbols: "q" of abcq' in said.err
    assert "three.wav: cannot be read as sound" in said.err


def test_files_of_alignments_are_not_overwritten(spoken, tmp_path, capsys) -> None:
    for name in ("three", "four", "five"):
        (spoken / f"{name}.wav").unlink()
    for form in ("textgrid", ".ctm", "Labels"):
        assert many(spoken, tmp_path / "out", form=form)
    assert len(list((tmp_path / "out").rglob("*.*"))) == 6
    ctm = (tmp_path / "out" / "x" / "one.ctm").read_text().splitlines()
    assert [line.split()[0:2] + line.split()[4:5] for line in ctm] == [["one", "1", "ab"], ["one", "1", "c"]]
    with pytest.raises(UserError, match=r"two.ctm, .*one.ctm: already exist; use --force to overwrite"):
        many(spoken, tmp_path / "out", form="ctm")
    assert many(spoken, tmp_path / "out", form="ctm", force=True)


def test_a_forgotten_text_is_named(spoken) -> None:
    with pytest.raises(UserError, match=r"two.wav: TEXT is missing"):
        many(spoken / "two.wav", "")


@pytest.mark.parametrize(
    ("to", "options", "reason"),
    [
        ("", {}, r"corpus: holds several recordings; name the folder of the alignments with --to"),
        ("out", {"form": "textgird"}, r"--format textgird: must be textgrid, csv, labels, ctm; did you mean"),
        ("out", {"language": "deutsch"}, r'--language = "deutsch": espeak-ng has no such language'),
        (
            "out",
            {"language": "de", "phones": True},
            r"--language de: --phones says that the text consists of",
        ),
    ],
)
def test_mistakes_with_many_recordings(spoken, to, options, reason) -> None:
    with pytest.raises(UserError, match=reason) as error:
        many(spoken, to, **options)
    assert "\n" not in str(error.value)


def test_a_model_aligns_from_its_folder(spoken, tmp_path) -> None:
    fitted, _ = aligning.recorded_model(None, None)
    family.save(fitted, tmp_path / "saved" / "model")
    given = {"phones": False, "seed": None, "to": "", "force": False}
    found = aligning.align(str(tmp_path / "saved"), spoken / "two.wav", "cab", **given)
    assert [one.label for one in found.phones] == ["c", "a", "b"]
    use_json = tmp_path / "saved" / "model" / "use.json"
    with pytest.raises(UserError, match=r"no saved model there"):
        aligning.align(str(spoken), spoken / "two.wav", "cab", **given)
    use_json.unlink()
    with pytest.raises(UserError, match=r"a folder with use.json is needed"):
        aligning.align(str(tmp_path / "saved"), spoken / "two.wav", "cab", **given)
