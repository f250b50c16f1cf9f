"""The command `audiomtl clean`: what can be removed by rule, as a table, and its removal.

Contents: `clean`, `look`.
"""

from collections.abc import Sequence

from rich.table import Table

from audiomtl.errors import StoreError, SurroundingsError
from audiomtl.harness.clean import cache, runs
from audiomtl.harness.clean.things import Found, Rule, Thing
from audiomtl.harness.record.client import CannotDelete
from audiomtl.harness.record.runs import existing
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.progress import console
from audiomtl.system import os_fault

MEGABYTE = 1e6  # bytes


def clean(*, yes: bool = False, days: int | None = None, storage: str = "") -> None:
    """Print what can be removed, or remove it and print what was.

    Parameters
    ----------
    yes : remove. days : without a use after which an entry of the cache is removed; None is `cache.DAYS`.
    storage : of Optuna, which has the leases; "" is the project's.

    Raises
    ------
    SurroundingsError : a store, or a folder that cannot be written; all else is removed.
    """
    found = look(days, storage)
    if not any(rule.things for rule in found.rules):
        _say("; ".join(["nothing to free", *found.notes]))
        return
    if not yes:
        _show(found.rules, "would free")
        given = f" --days {days}" if days is not None else ""
        for line in [*found.notes, f"nothing is removed yet; to free it: audiomtl clean --yes{given}"]:
            _say(line)
        return
    freed, notes, faults = _removed(found.rules)
    if any(rule.things for rule in freed):
        _show(freed, "freed")
    for line in [*notes, *found.notes]:
        _say(line)
    if faults:
        more = f" ({len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise SurroundingsError(f"{faults[0]}{more}")


def look(days: int | None = None, storage: str = "") -> Found:
    """All that can be removed."""
    leases = runs.existing_leases(storage)
    parts = [runs.found(existing(), leases), cache.found(days, training=bool(leases and leases.live()))]
    return Found(
        [rule for part in parts for rule in part.rules], [note for part in parts for note in part.notes]
    )


def _removed(rules: Sequence[Rule]) -> tuple[list[Rule], list[str], list[str]]:
    """What was removed; what people should know of the rest; faults of the machine and the stores."""
    freed, notes, faults = [], dict[str, None](), []
    for rule in rules:
        gone: list[Thing] = []
        busy = 0
        for thing in rule.things:
            try:
                if thing.remove():
                    gone.append(thing)
                else:
                    busy += 1
            except CannotDelete as error:
                notes[str(error)] = None
            except StoreError as error:
                faults.append(str(error))
                break
            except OSError as error:
                faults.append(os_fault(error) or f"{error.filename}: {error.strerror}")
        if busy:
            notes[f"{rule.what}: {busy} are in use meanwhile and stay"] = None
        freed.append(Rule(rule.what, tuple(gone)))
    return freed, list(notes), faults


def _show(rules: Sequence[Rule], done: str) -> None:
    table = Table(done)
    for head in ("number", "MB"):
        table.add_column(head, justify="right")
    for rule in rules:
        table.add_row(rule.what, str(len(rule.things)), f"{rule.size / MEGABYTE:.1f}")
    total = Rule("total", tuple(thing for rule in rules for thing in rule.things))
    table.add_section()
    table.add_row(total.what, str(len(total.things)), f"{total.size / MEGABYTE:.1f}")
    show_table(table)


def _say(line: str) -> None:
    console().print(line)
