"""Make ``saved_models.zip``: a model of every family as version 0.1.0 saved it, with what it answered.

Written once, with the code of that version (commit 1a3e8de) and a checkout of this one, which has the tiny
sounds:

    PYTHONPATH=CHECKOUT_OF_0.1.0 python tests/golden/make_saved_models.py CHECKOUT_OF_0.1.0

Of each family: what `save` wrote, and ``answers.npz`` with the arrays that its forward pass was given
(``in_NAME``) and gave (``out_NAME``).
"""

import importlib.util
import io
import os
import shutil
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
CLIPS = 2  # that each model answers
GRID = 32  # weights are rounded to whole numbers of 1 / GRID, so that they can be compressed
HEAD = {
    "column": "",
    "weight": 1.0,
    "train_only": False,
    "labelled_share": 1.0,
    "item_weight": "",
    "threshold": 0.5,
}
HEADS = {
    "text": {"kind": "alignment"},
    "phones": {"kind": "phones"},
    "melody": {"kind": "melody"},
    "voice": {"kind": "notes"},
    "clean": {"kind": "mel", "column": "path"},
    "event": {"kind": "clip_class"},
    "activity": {"kind": "segments"},
    "age": {"kind": "value", "column": "age"},
}


def named(value: Any) -> dict[str, np.ndarray]:
    """Arrays by name: of a mapping, a list, or one."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list | tuple) else [value])
    )
    return {str(name): np.asarray(array) for name, array in items}


def raws(families: Any, clips: Path) -> dict[str, dict[str, Any]]:
    """Settings by name; the first word is the family."""
    multitask = {
        "heads": {name: HEAD | head for name, head in HEADS.items()},
        "coupling": {},
        "scores": {"loss": "minimize"},
    }
    few = multitask | {"heads": {name: multitask["heads"][name] for name in ("event", "activity")}}
    given = {
        "inputs__text": "phones",
        "inputs__allow_leak": True,
        "features__bands": 8,
        "balancing__method": "fixed",
    }
    found = {
        "baseline": families.raw_settings("baseline", clips),
        "ctc": families.raw_settings("ctc", clips),
        "mil": families.raw_settings(
            "mil", clips, pooling__name="attention", pooling__units=4, network__hidden=8
        ),
        "mil mean": families.raw_settings("mil", clips, pooling__name="mean", network__hidden=8),
        "multitask harmonic": (
            families.raw_settings("multitask", clips, encoder__units=4, **given) | multitask
        ),
        "multitask transformer": (
            families.raw_settings("multitask", clips, encoder__kind="transformer", features__bands=8) | few
        ),
        "transfer": families.raw_settings(
            "transfer", clips, extractor__kind="statistics", features__bands=8, head__hidden=[4]
        ),
        "transfer svm": families.raw_settings(
            "transfer", clips, extractor__kind="statistics", features__bands=8, head__kind="svm"
        ),
    }
    for kind in ("concatenation", "aligned", "film", "cross_attention"):
        raw = families.raw_settings("fusion", clips, join__kind=kind, join__by="sound", features__bands=8)
        picture = raw["modalities"]["picture"]
        raw["modalities"]["score"] = picture | {
            "kind": "score",
            "column": "notes",
            "encoder": "keys",
            "pool": 2,
            "pooling": "attention",
        }
        raw["modalities"]["sound"] |= {"pool": 2}
        found[f"fusion {kind}"] = raw
    return found


def main(old: Path) -> None:
    os.environ["AUDIOMTL_CACHE"] = str(folder := Path(tempfile.mkdtemp()))
    spec = importlib.util.spec_from_file_location("families", HERE.parent / "surroundings" / "families.py")
    assert spec and spec.loader
    families = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(families)
    families.PROJECT = old  # whose experiments are those of its settings
    from audiomtl import config
    from audiomtl.data import catalog
    from audiomtl.nn.fit import seed_everything

    clips, read = families.sounds(folder / "sounds"), catalog.clips

    def with_notes(data: Any) -> Any:
        table = read(data)
        if "notes" in table and data.dataset == "manifest":
            table["notes"] = [
                tuple((float(start), float(end), int(pitch)) for start, end, pitch in notes)
                for notes in table["notes"]
            ]
        return table

    catalog.clips = with_notes
    for name, raw in raws(families, clips).items():
        raw = config.override(raw, {"training.epochs": 1}) if "training" in raw else raw
        model, settings = (
            importlib.import_module(f"audiomtl.models.{name.split(' ')[0]}"),
            config.settings_of(raw, name),
        )
        seed_everything(1)
        prepared = model.prepare(settings, 1)
        fitted = model.train(settings, prepared, 1, lambda epoch, scores: True, None)
        for variable in getattr(getattr(fitted, "model", None), "variables", ()):
            if "float" in str(variable.dtype):
                variable.assign(np.round(variable.numpy() * GRID) / GRID)
        model.save(fitted, folder / "models" / name)
        examples, answers = prepared.examples["test"][:CLIPS], dict[str, np.ndarray]()
        if hasattr(fitted, "forward"):
            forward = fitted.forward

            def recorded(*given: Any, forward: Any = forward, answers: Any = answers) -> Any:
                found = forward(*given)
                if not answers:
                    inputs = given[0] if len(given) == 1 else list(given)
                    answers.update({f"in_{key}": value for key, value in named(inputs).items()})
                    answers.update({f"out_{key}": value for key, value in named(found).items()})
                return found

            model.predict(replace(fitted, forward=recorded), examples)
        else:
            rows = np.stack([one.row for one in examples])
            answers = {"in_0": rows, "out_0": model._probabilities(fitted, examples)}
        np.savez_compressed(folder / "models" / name / "answers.npz", **answers)  # type: ignore[arg-type]
    with zipfile.ZipFile(HERE / "saved_models.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted((folder / "models").rglob("*")):
            if path.is_file():
                archive.writestr(
                    zipfile.ZipInfo(str(path.relative_to(folder / "models")), (2026, 1, 1, 0, 0, 0)),
                    small(path),
                    zipfile.ZIP_DEFLATED,
                )
    shutil.rmtree(folder)


def small(path: Path) -> bytes:
    """The bytes of a file; a ``.keras`` file, which is a zip that is not compressed, is compressed inside."""
    if path.suffix != ".keras":
        return path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as copy:
        for item in archive.infolist():
            copy.writestr(item.filename, archive.read(item))
    return buffer.getvalue()


if __name__ == "__main__":
    sys.path.append(str(HERE.parents[1]))  # for tests.*, which the families' sounds import
    main(Path(sys.argv[1]))
