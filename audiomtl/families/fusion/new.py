"""Values that `audiomtl new` inserts into ``templates/fusion.toml``. Contents: `proposal`, `values`."""

from audiomtl.data.fitting import Choice, Proposal, numbers, safe, toml_lines

MODALITIES = {  # kind of column -> settings of its modality
    "text": {"kind": "text", "size": 64, "encoder": "lstm", "pooling": "last"},
    "words": {"kind": "text", "size": 64, "encoder": "lstm", "pooling": "last"},
    "phones": {"kind": "text", "size": 64, "encoder": "lstm", "pooling": "last"},
    "notes": {
        "kind": "score",
        "filters": [32, 32],
        "kernel": 5,
        "pool": 2,
        "encoder": "keys",
        "pooling": "mean",
    },
    "number": {"kind": "table", "size": 16, "pooling": "mean"},
}
AUDIO = {
    **{"kind": "audio", "column": "path", "filters": [32, 64], "kernel": 5, "pool": 2},
    **{"encoder": "embedding", "pooling": "mean"},  # convolutions alone, without the salience of keys
}
MOST_NUMBERS = 4  # columns of numbers that become inputs


def proposal(choice: Choice) -> Proposal:
    """Whether, and before which others, the family fits the data."""
    if not choice.label or choice.several:
        return Proposal(0, "it learns one class per clip, but there is no column of classes")
    inputs = _inputs(choice)
    if len(inputs) < 2:
        return Proposal(0, "it joins several inputs, but the clips have one: the recording")
    return Proposal(55, f"classes of {choice.label} from {', '.join(inputs)} together")


def values(choice: Choice) -> dict[str, str]:
    """{name between @ in the template: text} for a choice."""
    own, inputs = numbers(choice), _inputs(choice)
    choice.notes.append(
        f"inputs beside the sound: {', '.join(name for name in inputs if name != 'audio')}; remove those that"
        " give the answer away"
    )
    return {
        **own.values,
        **choice.classes,
        "TITLE": f"a clip's {choice.label} from {', '.join(inputs)}.",
        "DESCRIPTION": f"{choice.label} of clips from {', '.join(inputs)}.",
        "MODALITIES": "".join(
            f"[modalities.{name}]\n{toml_lines(settings)}\n\n" for name, settings in inputs.items()
        ),
        "ALONE": "".join(f'[ablation.no_{name}]\njoin.leave_out = ["{name}"]\n\n' for name in inputs),
    }


def _inputs(choice: Choice) -> dict[str, dict[str, object]]:
    """Modalities by name, the sound first."""
    found: dict[str, dict[str, object]] = {"audio": dict(AUDIO)} if choice.sound else {}
    text = choice.column("text") or choice.column("words") or choice.column("phones")
    columns = [column for column in (text, choice.column("notes")) if column]
    clips = len(choice.found.table)
    columns += [
        column
        for column in choice.found.of_kind("number")
        if column.filled == clips and column.name != choice.label
    ][:MOST_NUMBERS]
    for column in columns:
        found.setdefault(safe(column.name), {**MODALITIES[column.kind], "column": column.name})
    return found
