"""Values that `audiomtl new` inserts into ``templates/baseline.toml``. Contents: `proposal`, `values`."""

from audiomtl.data.fitting import Choice, Proposal, numbers

BANDS = 64
COEFFICIENTS = 20


def proposal(choice: Choice) -> Proposal:
    """Whether, and before which others, the family fits the data."""
    if not choice.label:
        return Proposal(0, "it learns classes, but there is no column of classes")
    if not choice.sound:
        return Proposal(0, "it reads recordings, but the clips are arrays")
    return Proposal(30, f"classes of {choice.label}; trains in seconds, the score that others must beat")


def values(choice: Choice) -> dict[str, str]:
    """{name between @ in the template: text} for a choice."""
    own = numbers(choice, bands=BANDS)
    return {
        **own.values,
        **choice.classes,
        "TITLE": f"a clip's {choice.label} from statistics of its sound.",
        "DESCRIPTION": f"{choice.label} by a random forest on statistics of MFCC.",
        "COEFFICIENTS": str(min(COEFFICIENTS, own.bands)),
        "PRUNEAFTER": "1",
    }
