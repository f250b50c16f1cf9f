"""Create an experiment and a study for a user's recordings, a table or a folder.

Contents: `write`, `Written`.

Which families there are, and how well each fits, their modules ``new`` say (`audiomtl.data.fitting`).
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audiomtl import config
from audiomtl.data import preflight, small_validation
from audiomtl.data.fetch import weights
from audiomtl.data.fitting import Choice, Proposal, toml_lines
from audiomtl.data.found import Found, describe, tables_near
from audiomtl.errors import MissingData, UserError
from audiomtl.harness import templates
from audiomtl.harness.splitting import Candidate, candidates
from audiomtl.names import refuse_existing
from audiomtl.settings.family import settings_class
from audiomtl.settings.published import SMALL_VALIDATION
from audiomtl.settings.study import Study
from audiomtl.settings.tags import COLUMN as TAGS
from audiomtl.settings.toml import toml_value
from audiomtl.settings.validation import nearest

AUTO = "auto"
LEAST_KEPT = 0.4  # of the clips, in blocks
LEAST_SIDE = 0.05  # of the clips, on each side of blocks
LEAST_CLIPS = 3  # one for each side
# of [data], what `describe` says itself or is to be decided here
NEW_IN_DESCRIBE = ("dataset", "table", "folder", "path_column", "label", "groups", "labels")
MOST_NAMED = 20  # columns that a message names
MOST_TABLES = 3


@dataclass(frozen=True)
class Written:
    """What `write` did."""

    paths: tuple[Path, ...]  # of the experiment and the study
    said: tuple[str, ...]  # what was assumed, one line each


def write(
    name: str,
    where: str,
    *,
    model: str = AUTO,
    label: str = "",
    groups: str = "",
    path: str = "",
    language: str = "",
    on_bad: str = "error",
) -> Written:
    """Write ``experiments/NAME.toml`` and ``studies/NAME.toml`` for a table or a folder of recordings.

    Parameters
    ----------
    where : table or folder, relative to the project.
    model : family; "auto" takes the one that fits best.
    label : column of classes, or several columns of 0 and 1, separated by commas; "" takes what is found.
    groups : comma-separated column names; "" takes what is found.
    path : column of the paths in a table; "" takes what is found.
    language : of espeak-ng, for transcripts.
    on_bad : "skip" leaves out rows with a fault instead of refusing them.

    Raises
    ------
    UserError : a file already exists, no family fits, the data cannot be read or lack a column, or no split
        of theirs can be trained on.
    """
    known = templates.names()
    if model not in (AUTO, *known):
        raise UserError(
            f"--model {model}: no template{nearest(model, known)}; available: {', '.join([AUTO, *known])}"
        )
    if not config.NAME.fullmatch(name):
        raise UserError(f"{name}: an experiment name may contain only letters, digits, _ and -")
    taken = [Path(folder) / f"{name}.toml" for folder in ("experiments", "studies")]
    refuse_existing(taken, "choose another name, or remove what you do not need")
    columns, own = _names(label), _names(groups)
    found = _described(where, path, columns, on_bad)
    if len(found.table) < LEAST_CLIPS:
        raise UserError(
            f"--data {where}: has {len(found.table)} clip{'' if len(found.table) == 1 else 's'}; at least"
            f" {LEAST_CLIPS} are needed, one each for train, validation and test"
        )
    choice = _choice(found, where, columns, language)
    apart = own or [
        group
        for group in found.groups
        if group != choice.label and found.table[group].nunique() < len(found.table)
    ]
    _check_columns(where, found, own, "--groups")
    proposals = {family: config.family("new", family).proposal(choice) for family in known}
    chosen = _chosen(model, proposals, choice, where)
    if not proposals[chosen].label:
        choice = replace(choice, label="", several=False, unequal=False, columns=())
    values = {
        "NAME": name,
        "MODEL": chosen,
        "CLASSWEIGHTS": "",
        "STUDYSEED": "0",
        "MONITOR": "validation/loss",
        "PRUNEAFTER": "5",
    }
    values |= config.family("new", chosen).values(choice)
    if language and not values.get("TEXT"):
        raise UserError(
            f"--language {language}: {chosen} learns no transcripts from these columns; leave the option out,"
            " or name a family that does with --model"
        )
    loss = values["MONITOR"].endswith("/loss")
    values["DIRECTION"] = "minimize" if loss else values["METRICDIRECTION"]
    values.setdefault("PRUNEON", values["METRIC"])
    values.setdefault("PRUNEDIRECTION", values["METRICDIRECTION"])
    seen, candidate = _divided(choice, apart, values, where, named=bool(own))
    notes = [
        *found.assumptions,
        *_counts(found),
        *choice.notes,
        *([candidate.note] if candidate.note else []),
    ]
    notes += _seeds_note(candidate)
    notes += [f"warning: {warning}" for warning in seen.warnings]
    comments = "".join(templates.comment(note) for note in dict.fromkeys(notes))
    values["NOTES"] = f"# Assumed by `audiomtl new`:\n{comments}" if comments else ""
    if _small(seen):
        values["NOTES"] += f'acknowledged = ["{SMALL_VALIDATION}"]\n'
    values |= _protocol_values(candidate, chosen) | _data(choice, candidate)
    return Written(_written(name, chosen, values), tuple(dict.fromkeys(notes)))


# ---------------------------------------------------------------- data


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _described(where: str, path: str, label: Sequence[str], on_bad: str) -> Found:
    try:
        found = describe(where, path_column=path, on_bad=on_bad)
    except UserError as error:
        text = str(error).replace('data.on_bad = "skip"', "--on-bad skip")
        raise UserError(f"--data {text}") from None
    _check_columns(where, found, label, "--label")
    return found


def _check_columns(where: str, found: Found, names: Sequence[str], option: str) -> None:
    columns = list(map(str, found.table.columns))
    for column in names:
        if column not in columns:
            listed = ", ".join(columns[:MOST_NAMED])
            raise UserError(
                f"{option} {column}: {where} has no such column{nearest(column, columns)}; it has"
                f" {listed}{_folders(where, found)}"
            )


def _folders(where: str, found: Found) -> str:
    """What the folders of a folder of recordings should be, and the tables that may say the same."""
    if not (place := Path(where)).is_dir():
        return ""
    if "label" in found.table.columns:
        return "; folders below those of the classes become the column group"
    listed = [f"--data {path}" for path in tables_near(place)]
    tables = f", or name the table that lists them: {' or '.join(listed[:MOST_TABLES])}" if listed else ""
    return f"; classes need one folder per class, such as {place / 'dog'}/ and {place / 'rain'}/{tables}"


def _choice(found: Found, where: str, label: list[str], language: str) -> Choice:
    """The label, and what it is like."""
    chosen = label[0] if label else next(iter(found.labels), "")
    kind = next((column.kind for column in found.columns if column.name == chosen), "other")
    several = len(label) > 1 or kind == "labels"
    more: dict[str, Any] = {"label": chosen, **({"labels": "several"} if several else {})}
    if len(label) > 1:  # columns of 0 and 1
        chosen, more = TAGS, {"label": label}
    notes = []
    if chosen:
        others = f" (others: {', '.join(found.labels[1:])})" if len(found.labels) > 1 else ""
        if not label:
            notes.append(f"column {chosen} has the classes{others}; --label names another")
        known = {key: value for key, value in found.data.items() if key not in NEW_IN_DESCRIBE}
        found = describe(where, path_column=found.data.get("path_column", ""), **{**known, **more})
        counts = preflight.classes_in(found.table[chosen])
        unequal = bool(counts) and max(counts.values()) >= preflight.UNEQUAL * min(counts.values())
        if unequal:
            read = "" if several else ", read balanced_accuracy"
            notes.append(f"classes of {chosen} are unequal: the loss is weighted{read}")
    else:
        unequal = False
    columns = tuple(label) if len(label) > 1 else ()
    return Choice(
        found, chosen, several, unequal, _weights(), language, bool(label), columns, label_notes=notes
    )


def _weights() -> bool:
    """Whether YAMNet's weights are on this machine."""
    try:
        weights("")
    except MissingData:
        return False
    return True


def _counts(found: Found) -> list[str]:
    return [f"left out: {count} clips: {reason}" for reason, count in found.left_out.items()]


# ---------------------------------------------------------------- family and split


def _chosen(model: str, proposals: Mapping[str, Proposal], choice: Choice, where: str) -> str:
    """The family to write; those that fit are noted with their reasons."""
    fitting = sorted(
        (name for name, one in proposals.items() if one.rank), key=lambda name: (proposals[name].rank, name)
    )
    if model == AUTO:
        if not fitting:
            columns = ", ".join(column.name for column in choice.found.columns[:MOST_NAMED])
            raise UserError(
                f"--data {where}: no family can learn from these columns: {columns}"
                + (_folders(where, choice.found) or "; name a column of classes with --label, or add one")
            )
        chosen = fitting[0]
        choice.notes.append(f"model {chosen}: {proposals[chosen].reason}")
        choice.notes.extend(
            f"would fit as well: --model {name}: {proposals[name].reason}" for name in fitting[1:]
        )
        return chosen
    if not proposals[model].rank:
        others = f"; these fit: {', '.join(fitting)}" if fitting else ""
        classes = "" if fitting else _folders(where, choice.found)
        raise UserError(f"--model {model}: {where}: {proposals[model].reason}{others}{classes}")
    return model


def _divided(
    choice: Choice, groups: Sequence[str], values: Mapping[str, str], where: str, *, named: bool
) -> tuple[preflight.Look, Candidate]:
    """The first split of which every seed can be trained on."""
    last = ""
    for candidate in candidates(choice, groups, named=named):
        model = values["MODEL"]
        made = {**values, "NOTES": "", **_protocol_values(candidate, model), **_data(choice, candidate)}
        text = templates.filled(f"{model}.toml", made)
        settings = config.settings_of(_settings(text), f"--data {where}")
        seen = preflight.look(settings, choice.found.table)
        if not seen.faults and not _wasteful(seen):
            return seen, candidate
        last = "; ".join(seen.faults) or last
    raise UserError(
        f"--data {where}: no split into train, validation and test can be trained on: {last}; add clips or"
        " groups, or name other columns with --label and --groups"
    )


def _wasteful(seen: preflight.Look) -> bool:
    """Whether blocks leave out most clips, or leave next to nothing to test on."""
    clips = len(seen.table)
    for one in seen.divisions:
        if one.sides is not None and one.sides.dropped:
            sizes = [len(rows) for rows in one.sides.sides().values()]
            if sum(sizes) < LEAST_KEPT * clips or min(sizes) < LEAST_SIDE * clips:
                return True
    return False


def _small(seen: preflight.Look) -> bool:
    """Whether a validation side has fewer clips than a choice needs: the file says so, and can be trained."""
    sides = [one.sides for one in seen.divisions if one.sides is not None]
    return any(len(one.validation) < small_validation.TOO_FEW for one in sides)


def _settings(text: str) -> dict[str, Any]:
    raw = tomllib.loads(text)
    return {key: value for key, value in raw.items() if key != "ablation"}


def _protocol_values(candidate: Candidate, model: str) -> dict[str, str]:
    lines = toml_lines(candidate.protocol)
    leaky = "\nleaky = false" if _needs_leaky(model) else ""
    return {"PROTOCOL": lines + leaky, "SEEDS": toml_value(list(candidate.seeds))}


def _needs_leaky(model: str) -> bool:
    """Whether the family's protocol has the setting leaky."""
    protocol = config.family("settings", model).Settings.model_fields["protocol"].annotation
    return bool(protocol.model_fields["leaky"].json_schema_extra is None)


def _data(choice: Choice, candidate: Candidate) -> dict[str, str]:
    """The table [data]; tables in it stand as inline tables."""
    values = dict(choice.found.data)
    if choice.label:
        values["label"] = list(choice.columns) or choice.label
    if choice.several and not choice.columns:
        values["labels"] = "several"
    values["groups"] = list(candidate.groups)
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{toml_value(name)} = {toml_value(each)}" for name, each in value.items())
            lines.append(f"{key} = {{ {inner} }}")
        else:
            lines.append(f"{key} = {toml_value(value)}")
    return {"DATA": "\n".join(lines)}


def _seeds_note(candidate: Candidate) -> list[str]:
    if candidate.protocol["kind"] == "split":
        return []
    return [
        f"study_seed 0 chooses settings on all clips but those that seed {candidate.seeds[-1]} is tested on:"
        " after a study, only the score of that seed is independent of the choice"
    ]


# ---------------------------------------------------------------- files


def _written(name: str, model: str, values: Mapping[str, str]) -> tuple[Path, ...]:
    written = []
    try:
        for folder, template in (("experiments", f"{model}.toml"), ("studies", f"{model}_study.toml")):
            text = templates.filled(template, values)
            Path(folder).mkdir(exist_ok=True)
            place = Path(folder) / f"{name}.toml"
            schema = Study if folder == "studies" else settings_class(tomllib.loads(text), name)
            place.write_text(templates.commented(text, schema), encoding="utf-8")
            written.append(place)
        config.load_study(name)
    except Exception:
        for place in written:
            place.unlink()
        raise
    return tuple(written)
