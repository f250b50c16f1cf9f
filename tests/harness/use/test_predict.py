"""From trained best runs to files that serve: export, predict, stream, curve and an HTTP answer, by the
real commands.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf

import audiomtl
from audiomtl.data import audio
from audiomtl.families.transfer.use import BLOCK
from audiomtl.harness.use.inputs import Asked, recording
from audiomtl.harness.use.models import opened
from tests.command import run
from tests.harness.conftest import PATIENCE, Project
from tests.nn import yamnet_weights
from tests.ports import free_port

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    """24 clips of two classes, their table, and weights of a YAMNet that has learned nothing."""
    folder, rows = tmp_path_factory.mktemp("sounds"), []
    for number in range(24):
        random, high = np.random.default_rng(number), number % 2
        times = np.arange(round(random.uniform(0.7, 2.6) * 16000)) / 16000
        y = 0.3 * np.sin(2 * np.pi * (3000 if high else 300) * times) + 0.02 * random.standard_normal(
            len(times)
        )
        audio.save(folder / f"{number:02}.wav", np.clip(y, -1, 1), sample_rate=16000)
        rows.append(
            {"path": f"{number:02}.wav", "label": ["low", "high"][high], "artist": f"artist {number // 2}"}
        )
    pd.DataFrame(rows).to_csv(folder / "mine.csv", index=False)
    yamnet_weights.write(folder / "yamnet.h5")
    return folder


def settings_file(folder: Path, sounds: Path, **replaced: str) -> None:
    text = (
        (PROJECT / "experiments" / "transfer_esc10.toml")
        .read_text(encoding="utf-8")
        .partition("\n[ablation.")[0]
    )
    text = text.partition("\n[expected")[0]
    head, _, rest = text.partition("[data]\n")
    rest = rest[rest.index("[protocol]") :]
    data = (
        f'[data]\ndataset = "manifest"\ntable = "{sounds / "mine.csv"}"\nlabel = "label"\ngroups ='
        ' ["artist"]\non_bad = "error"\n\n'
    )
    text = head + data + rest
    changed = {
        "seeds": "[1, 2]",
        "study_seed": "0",
        "weights": f'"{sounds / "yamnet.h5"}"',
        'kind = "folds"': 'kind = "split"',
        'column = "fold"': 'column = ""\ntest_share = 0.2\nvalidation_share = 0.2\nstratified = true',
        "epochs": "4",
        "hidden": "[8]",
        "pooling_name": '"mean"',
    } | replaced
    lines = []
    for line in text.splitlines():
        name = line.partition(" = ")[0]
        if name in changed:
            line = f"{name} = {changed[name]}"
        for old in ('kind = "folds"', 'column = "fold"'):
            line = line.replace(old, changed[old])
        lines.append(line)
    lines.insert(0, 'acknowledged = ["small_validation"]')
    arms = '\n[ablation.no_pretraining]\ncurve = true\nextractor.kind = "statistics"\n'
    (folder / "experiments" / "mine.toml").write_text("\n".join(lines) + "\n" + arms)


@pytest.fixture(scope="module")
def trained(sounds, tmp_path_factory):
    """One project with best runs for all tests here; they leave its runs as they were."""
    with pytest.MonkeyPatch.context() as patch:
        project = Project(tmp_path_factory.mktemp("trained") / "project", patch)
        settings_file(project.folder, sounds)
        project.run("best", "mine", "--slots", "2")
        yield project


def answer(port: int, body: dict) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.loads(reply.read())


@pytest.fixture(scope="module")
def exported(trained) -> tuple[Path, str]:
    """The folder of its exported model, and what the command said."""
    said = trained.run("export", "mine", "out", "--licence", "CC BY 4.0")
    return trained.folder / "out", said


def test_a_best_run_is_exported_and_heard(trained, exported, sounds, tmp_path) -> None:
    project, one, (out, said) = trained, sounds / "03.wav", exported
    assert (
        "bit-identical" in said and "TFLite within" in said and "models:/mine@champion is version 1" in said
    )
    assert {"model", "saved_model", "model.tflite", "classes.txt", "README.md"} == {
        path.name for path in out.iterdir()
    }
    assert (out / "classes.txt").read_text() == "high\nlow\n"
    card = (out / "README.md").read_text()
    assert "$" not in card and "models:/mine@champion" in card and "| test/accuracy | " in card
    assert "export MLFLOW_TRACKING_URI=" in card and "one mono waveform in [-1, 1] at 16000 Hz" in card
    assert "learning_rate = " in card and "Licence of the model: CC BY 4.0" in card
    assert "is not empty" in project.run("export", "mine", "out", code=2)

    # predict says the same as the file, in three formats, and keeps going over what cannot be read
    y = soundfile.read(one, dtype="float32")[0]
    expected = tf.saved_model.load(str(out / "saved_model")).signatures["serving_default"](
        waveform=tf.constant(y)
    )["classifier"]
    lines = project.run("predict", "mine", str(one), "--format", "jsonl", "--top", "2").splitlines()
    top = next(json.loads(line) for line in lines if line.startswith("{"))["answers"]["classes"]
    assert {entry["label"]: entry["probability"] for entry in top} == pytest.approx(
        dict(zip(["high", "low"], expected.numpy().tolist(), strict=True)), abs=1e-5
    )
    bad = tmp_path / "text.wav"
    bad.write_text("no sound")
    said = project.run(
        "predict", "mine", str(bad), str(one), "--format", "csv", "--over-time", "scores", code=1
    )
    assert (
        "text.wav: cannot be read as sound" in said
        and f",classes,0.000,{soundfile.info(one).duration:.3f},{top[0]['label']}," in said
    )
    assert (project.folder / "scores" / "03.scores.png").stat().st_size > 1000
    assert list(pd.read_csv(project.folder / "scores" / "03.scores.csv").columns) == [
        "start_seconds",
        "end_seconds",
        "high",
        "low",
    ]


@pytest.mark.long
def test_the_mean_of_all_seeds_is_exported_heard_scored_and_registered(trained, exported, sounds) -> None:
    project, one, out = trained, sounds / "03.wav", trained.folder / "mean"
    assert "--seed 1: --average takes the runs of all seeds" in project.run(
        "export", "mine", "mean", "--average", "--seed", "1", code=2
    )
    try:
        said = project.run("export", "mine", "mean", "--average")
        runs = {
            path.parts[-4]: path for path in project.runs.glob("artifacts/mine/*/artifacts/model/use.json")
        }
        assert "mean: mine, mean of seeds 1, 2 (runs " in said and all(run in said for run in runs)
        assert "mean: The average has no test score: every recorded score is that of a single seed." in said
        assert "SavedModel within " in said and "of the mean of the 2 models' answers" in said
        assert "model, read again: within 0.0e+00 of the mean of its 2 models' answers" in said
        assert "TFLite within" in said and "models:/mine@champion is version 2" in said
        card = (out / "README.md").read_text()
        assert "$" not in card and "each scored alone. The average has no test score" in card
        assert "the mean of the class probabilities of 2 best runs: seeds 1 (run " in card
        assert (
            "All seeds have the same" in card or "test clips are in the test split of some seeds only" in card
        )

        singles = [opened("mine", seed) for seed in (1, 2)]
        given = recording(Asked("a", one), 16000)
        each = [model.use.respond(model.fitted, [given])[0].answers["classes"] for model in singles]
        expected = np.mean([answer.probabilities for answer in each], axis=0)
        for place in ("mean", "models:/mine@champion"):
            [response] = audiomtl.load(place).respond(one)
            np.testing.assert_allclose(response.answers["classes"].probabilities, expected, rtol=0, atol=1e-6)
        saved = tf.saved_model.load(str(out / "saved_model"))
        answers = saved.signatures["embed"](waveform=tf.constant(given.y))
        assert answers["embeddings"].shape[1] == 1024  # once: the end of YAMNet was not trained
        found = saved.signatures["serving_default"](waveform=tf.constant(given.y))["classifier"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        assert "mean, mean of seeds 1, 2: classes, segments" in project.run("predict", "mean", str(one))
        said = project.run("evaluate", "mean", str(sounds / "mine.csv"))
        assert "mean, mean of seeds 1, 2 on 24 clips" in said and "\naccuracy" in said
        version = project.tracking().client.get_model_version("mine", "2")
        assert version.description.startswith("the mean of the class probabilities of 2 best runs: seeds 1")
    finally:  # the champion of the other tests
        project.tracking().client.set_registered_model_alias("mine", "champion", "1")


@pytest.mark.long
def test_an_exported_model_is_served(trained, exported, sounds, tmp_path) -> None:
    """By an interpreter that has never heard of audiomtl, and by MLflow's own server over HTTP."""
    project, one, (out, _) = trained, sounds / "03.wav", exported
    code = "import sys, soundfile, tensorflow as tf; y, _ = soundfile.read(sys.argv[2], dtype='float32')"
    code += "; print(tf.saved_model.load(sys.argv[1]).signatures['serving_default'](waveform=tf.constant(y))['classifier'].numpy().tolist())"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code, str(out / "saved_model"), str(one)],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = json.loads(ran.stdout)

    tracking = project.tracking()
    version = tracking.client.get_model_version_by_alias("mine", "champion")
    assert version.version == "1" or version.version == 1
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking.uri,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [
        str(Path(sys.executable).with_name("mlflow")),
        "models",
        "serve",
        "-m",
        "models:/mine@champion",
    ]
    command += ["--env-manager", "local", "-p", str(port := free_port())]
    with (tmp_path / "serve.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            y = soundfile.read(one, dtype="float32")[0].tolist()
            while True:
                try:
                    got = answer(port, {"inputs": y})["predictions"]
                    break
                except urllib.error.HTTPError:
                    raise  # it answers, with a fault
                except (urllib.error.URLError, ConnectionError):
                    assert server.poll() is None, (tmp_path / "serve.log").read_text()
                    time.sleep(0.5)
            assert (
                got["class_names"] == ["high", "low"]
                and got["predicted"] == ["high", "low"][np.argmax(expected)]
            )
            assert got["classifier"] == pytest.approx(expected, abs=1e-6)
            # four clients at once, each with a sound of its own
            given = [soundfile.read(sounds / f"{number:02}.wav", dtype="float32")[0] for number in range(4)]
            with ThreadPoolExecutor(4) as clients:
                asked = [clients.submit(answer, port, {"inputs": y.tolist()}) for y in given]
                heard = [one.result()["predictions"]["classifier"] for one in asked]
            model = tf.saved_model.load(str(out / "saved_model"))
            assert np.allclose(heard, [model(tf.constant(y)).numpy() for y in given], atol=1e-6)
            for bad, reason in (
                ([0.0, 0.1], "at least 0.1 s at 16000 Hz, 1600 samples, are needed"),
                ([0, 12000] * 8000, "samples in [-1, 1] are needed: divide 16-bit integers by 32768"),
            ):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    answer(port, {"inputs": bad})
                told = json.loads(refused.value.read())
                assert told["error_code"] == "BAD_REQUEST" and "stack_trace" not in told
                assert told["message"].endswith(f"waveform: {reason}")
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def test_a_long_file_is_streamed_to_the_scores_of_the_whole(trained, sounds, tmp_path) -> None:
    loaded = opened("mine")
    length = BLOCK * 7680 * 2 + 12345  # samples: three blocks
    y = np.where(np.arange(length) // 80000 % 2, 0.3, 0.0) * np.sin(
        2 * np.pi * 3000 * np.arange(length) / 16000
    )
    path = tmp_path / "long.flac"
    soundfile.write(path, y, 16000)
    [whole] = loaded.use.respond(loaded.fitted, [recording(Asked("long", path), 16000)])
    segments = whole.answers["segments"]
    streamed = list(loaded.use.stream(loaded.fitted, path).scores)
    assert np.allclose([start for start, _ in streamed], segments.starts)
    assert np.allclose([row for _, row in streamed], segments.scores, atol=1e-5)

    above = np.array([row for _, row in streamed]) >= 0.6
    starts = sum(int(column[0]) + int(np.sum(column[1:] & ~column[:-1])) for column in above.T)
    assert starts > 0
    said = trained.run("predict", "mine", str(path), "--stream", "events", "--threshold", "0.6")
    assert f": {starts} event{'' if starts == 1 else 's'} at 0.6" in said
    table = pd.read_csv(trained.folder / "events" / "long.events.csv")
    labels = [
        line.split("\t") for line in (trained.folder / "events" / "long.labels.txt").read_text().splitlines()
    ]
    assert len(table) == len(labels) == starts
    assert [float(line[0]) for line in labels] == pytest.approx(list(table["start_seconds"]), abs=1e-3)
    assert set(table["label"]) <= {"high", "low"} and (table["end_seconds"] > table["start_seconds"]).all()
    assert table["end_seconds"].max() <= length / 16000 + 1e-3


def test_streaming_holds_no_more_of_a_longer_file(trained, tmp_path) -> None:
    import tracemalloc

    loaded, peaks = opened("mine"), []
    for minutes in (1, 1, 6):  # the first one warms up
        path = tmp_path / "long.wav"
        with soundfile.SoundFile(path, "w", 16000, 1, "PCM_16") as file:
            for _ in range(minutes * 6):
                file.write(np.zeros(160000))
        tracemalloc.start()
        for _ in loaded.use.stream(loaded.fitted, path).scores:
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1]  # of 23 MB of samples


@pytest.mark.long
def test_the_label_curve_has_every_share_and_rival(trained) -> None:
    said = trained.run("ablations", "mine", "--curve", "--fractions", "0.25", "0.5", "1.0", "--slots", "2")
    table = pd.read_csv(trained.runs / "report" / "curve_mine.csv")
    assert [tuple(row) for row in table[["trained", "train_share"]].to_numpy()] == [
        (name, share) for name in ("mine", "no_pretraining") for share in (0.25, 0.5, 1.0)
    ]
    clips = table["train_clips"].to_numpy().reshape(2, 3)
    assert (np.diff(clips, axis=1) > 0).all() and (clips[0] == clips[1]).all()
    assert (
        (table["seeds"] == 2).all()
        and (trained.runs / "report" / "curve_mine.png").is_file()
        and "no_pretraining" in said
    )
    again = trained.run("ablations", "mine", "--curve", "--fractions", "0.25", "--fractions", "0.5", "1.0")
    assert "12 trainings are already finished" in again  # two seeds of three shares, with and without


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("predict", "mine", "x.wav", "--to", "xml"), "--to xml: must be table, jsonl, csv, textgrid"),
        (("predict", "mine", "x.wav", "--to", "x.xml"), "--to x.xml: must be table, jsonl, csv, textgrid"),
        (("predict", "mine", "x.wav", "--to", "no/x.csv"), "--to no/x.csv: no such folder no"),
        (("transcribe", "tiny", "x.wav"), "this family does not support the command; supported by: baseline"),
        (("predict", "mine", "x.wav", "--stream", "e", "--threshold", "2"), "--threshold 2: must be above 0"),
        (("predict", "mine", "x.wav"), "no recorded best run"),
        (("export", "mine", "out"), "no recorded best run"),
        (("export", "mine", "out", "--average"), "--average: no recorded best run of seeds 1, 2; run"),
        (
            ("export", "mine", "out", "--average", "--refit"),
            "--average: no recorded refit of seeds 1, 2; run",
        ),
        (
            ("ablations", "mine", "--curve", "--fractions", "1.5"),
            "--fractions 1.5: must be above 0 and at most 1",
        ),
        (("ablations", "tiny", "--curve"), "has no setting train_share"),
        (("export", "tiny", "out"), "this family does not support the command; supported by: baseline"),
    ],
)
def test_mistakes_are_one_line(project, sounds, arguments, reason, monkeypatch, capsys) -> None:
    # it turns stderr of the whole process away, for good
    monkeypatch.setattr("audiomtl.cli.use.quiet_tensorflow", lambda: None)
    settings_file(project.folder, sounds)
    code, out, err = run(monkeypatch, capsys, *arguments)
    told = [line for line in out.splitlines() if ": warning: only " not in line]  # of few validation clips
    assert (code, told) == (2, []) and reason in err and err.count("\n") == 1


def test_any_sound_is_heard_and_what_is_none_gets_a_line(trained, sounds, tmp_path) -> None:
    """Stereo, 8 bits, 8 and 96 kHz, silence.

    An empty file and a text; then a class list that does not fit the network.
    """
    times = np.arange(3 * 96000) / 96000
    tone = 0.3 * np.sin(2 * np.pi * 3000 * times)
    soundfile.write(tmp_path / "stereo.wav", np.stack([tone, tone], axis=1), 96000)
    soundfile.write(tmp_path / "eight_bits.wav", tone[::12], 8000, subtype="PCM_U8")
    soundfile.write(tmp_path / "silence.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "empty.wav", np.empty(0), 16000)
    (tmp_path / "text.wav").write_text("no sound at all")
    good = ["stereo", "eight_bits", "silence"]
    files = [str(tmp_path / f"{name}.wav") for name in [*good, "empty", "text"]]
    refused = trained.run("predict", "mine", "a/x.wav", "b/x.wav", "--stream", "e", code=2)
    assert "two files have this name" in refused
    said = trained.run("predict", "mine", *files, "--format", "jsonl", code=1)
    heard = {
        Path(line["file"]).stem: line["answers"]["classes"]
        for line in map(json.loads, (line for line in said.splitlines() if line.startswith("{")))
    }
    assert list(heard) == good and "Traceback" not in said
    assert all(
        sum(entry["probability"] for entry in top) == pytest.approx(1, abs=1e-4) for top in heard.values()
    )
    assert heard["stereo"][0]["label"] == heard["eight_bits"][0]["label"]
    assert "empty.wav: the file is empty" in said and "text.wav: cannot be read as sound" in said

    kept = {
        place: place.read_text() for place in trained.runs.glob("artifacts/mine/*/artifacts/model/use.json")
    }
    try:
        for place, text in kept.items():
            place.write_text(json.dumps(json.loads(text) | {"classes": ["high", "low", "middle"]}))
        assert "use.json lists 3 classes, but the network has 2" in trained.run(
            "predict", "mine", files[0], code=2
        )
    finally:
        for place, text in kept.items():
            place.write_text(text)


def test_other_weights_than_those_trained_on_are_refused(trained, sounds) -> None:
    yamnet_weights.write(trained.folder / "other.h5", seed=5)
    place = sounds / "yamnet.h5"
    kept = place.read_bytes()
    try:
        place.write_bytes((trained.folder / "other.h5").read_bytes())
        assert "the model was trained with different weights" in trained.run(
            "predict", "mine", str(sounds / "00.wav"), code=2
        )
    finally:
        place.write_bytes(kept)


@pytest.mark.long
def test_heads_that_are_no_network_are_not_exported_but_heard(project, sounds) -> None:
    settings_file(project.folder, sounds)
    path = project.folder / "experiments" / "mine.toml"
    path.write_text(
        path.read_text()
        .replace('kind = "dense" ', 'trees = 20\nkind = "random_forest" ')
        .replace("seeds = [1, 2]", "seeds = [1]")
    )
    project.run("best", "mine", "--slots", "1")
    said = project.run("export", "mine", "out")
    assert 'no SavedModel: head.kind = "random_forest" is not a network' in said
    assert "MLflow's model says what the model in memory says" in said
    for name in ("mine", "out", "models:/mine@champion"):
        assert "00.wav: " in project.run("predict", name, str(sounds / "00.wav"))
