"""Values that `audiomtl new` inserts into ``templates/multitask.toml``. Contents: `proposal`, `values`."""

from audiomtl.data.fitting import Choice, Proposal, numbers, safe, toml_lines
from audiomtl.families.multitask import heads

BANDS = 64
MOST_CLASSES = 2  # further columns of classes that become tasks


def proposal(choice: Choice) -> Proposal:
    """Whether, and before which others, the family fits the data."""
    if not choice.sound:
        return Proposal(0, "it reads recordings, but the clips are arrays")
    tasks = _tasks(choice)
    if not tasks:
        return Proposal(0, "it learns classes, timed phones, notes, passages or numbers, but there are none")
    named = ", ".join(f"{name} ({task['kind']})" for name, task in tasks.items())
    only = {task["kind"] for task in tasks.values()} <= {"notes", "value"}
    rank = 12 if only else 50 if len(tasks) > 1 else 60
    return Proposal(rank, f"{'one task' if len(tasks) == 1 else 'several tasks'}: {named}")


def values(choice: Choice) -> dict[str, str]:
    """{name between @ in the template: text} for a choice."""
    tasks = _tasks(choice)
    kinds = {task["kind"] for task in tasks.values()}
    own = numbers(choice, bands=BANDS, fine=bool(kinds & {"phones", "notes"}))
    scores = {
        f"{name}_{score}": "minimize"
        if score in heads.kind(str(task["kind"])).ABOUT.minimized
        else "maximize"
        for name, task in tasks.items()
        for score in _main_scores(str(task["kind"]))
    }
    main = next(iter(scores))
    tables = []
    for name, task in tasks.items():
        balanced = choice.unequal and task["kind"] in ("clip_class", "tags") and "column" not in task
        more = {"class_weights": "balanced"} if balanced else {}
        tables.append(f"[heads.{name}]\n{toml_lines({**task, 'weight': 1.0, **more})}\n\n")
    alone = ""
    for name in tasks if len(tasks) > 1 else ():
        others = "".join(f"heads.{other}.weight = 0.0\n" for other in tasks if other != name)
        watched = f'training.monitor = "validation/{name}_loss"\n'
        alone += f"[ablation.{name}_alone]\n{watched}{others}\n"
    return {
        **own.values,
        "TITLE": f"{', '.join(tasks)} of a clip by one network.",
        "DESCRIPTION": f"{', '.join(tasks)} of clips, one encoder.",
        "SCORES": toml_lines(scores),
        "POOL": "1" if kinds & {"phones", "notes"} else "2",
        "HEADS": "".join(tables),
        "ALONE": alone,
        "METRIC": f"validation/{main}",
        "METRICDIRECTION": scores[main],
    }


def _tasks(choice: Choice) -> dict[str, dict[str, object]]:
    """Heads by name, the label first."""
    found: dict[str, dict[str, object]] = {}
    if choice.label:
        found[safe(choice.label)] = {"kind": "tags" if choice.several else "clip_class"}
    further = [
        column
        for column in choice.found.of_kind("class")
        if column.name != choice.label and len(column.counts) > 1 and column.name not in choice.found.groups
    ]
    for column in further[: MOST_CLASSES if choice.label else 0]:
        found.setdefault(safe(column.name), {"kind": "clip_class", "column": column.name})
    if (phones := choice.column("phones")) and phones.timed and phones.name == "phones":
        found.setdefault("phones", {"kind": "phones"})
    if notes := choice.column("notes"):
        found.setdefault(safe(notes.name), {"kind": "notes", "column": notes.name, "threshold": 0.35})
    if choice.label and not choice.several and choice.column("passages"):
        found.setdefault("activity", {"kind": "segments", "threshold": 0.5})
    if not found and (number := choice.column("number")):
        found.setdefault(safe(number.name), {"kind": "value", "column": number.name})
    return found


def _main_scores(kind: str) -> tuple[str, ...]:
    """Scores of a head that are recorded: those that are computed at every epoch, two at most."""
    about = heads.kind(kind).ABOUT
    return tuple(score for score in about.scores if score not in about.slow)[:2]
