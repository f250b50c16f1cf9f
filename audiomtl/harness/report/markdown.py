"""From MLflow to Markdown with figures, and to a page in HTML: results, ablations, sweeps and costs.

The report describes the runs themselves: settings are their parameters, and no table mixes code, data or
settings. The runs of one such set are taken together, and one set is chosen (`choose`): of the sets that
cover the most of the experiment's seeds one whose settings are those of the file, and of these the newest. In
it, the newest complete run of a seed counts. An ablation is what ran under the same code and data with the
settings of the set and the arm's changes, whatever its run was called (an arm that another arm or an earlier
best run had trained is not trained again).

The same runs give the same bytes: no times, run ids or absolute paths. Scores have 4 decimals, other numbers
4 digits.

Contents: `write`.
"""

import os
from pathlib import Path

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.record.runs import choose, existing
from audiomtl.harness.record.store import Tracking, runs_folder
from audiomtl.harness.report import results as committed
from audiomtl.harness.report.blocks import joined
from audiomtl.harness.report.chapters import chapter
from audiomtl.harness.report.html import listening, page
from audiomtl.settings.toml import write as write_file

# ---------------------------------------------------------------- report


def write(
    names: list[str],
    folder: Path | None,
    readme: Path | None,
    results: Path | None = None,
    *,
    pages: bool = True,
) -> str:
    """Write ``report.md`` and its figures, and ``report.html``, which holds its own; update the committed
    pages.

    Parameters
    ----------
    names : experiments, or paths that end in ``.toml``; none: every one in ``experiments/`` that has runs.
    folder : where to; ``None`` is ``runs/report``.
    readme : also put the small results table between the markers of this file.
    results : also put all results tables between the markers of this file. Without ``readme`` only if it
        exists.
    pages : whether to write HTML.

    Returns
    -------
    What was written where, for people.

    Raises
    ------
    UserError : an unknown name, an experiment without runs, or, with ``readme``, a page without markers;
        nothing is written then.
    """
    files = config.load_experiments(list(names))
    updated = [committed.read(readme, large=False)] if readme else []
    updated += [committed.read(results, large=True)] if readme and results else []
    tracking, place = existing(), os.path.relpath(runs_folder())
    recorded = {file.name: tracking.runs(file.name) if tracking else [] for file in files}
    for file in files if names else []:
        if not recorded[file.name]:
            raise UserError(f"no runs of {file.name} in {place}/: run make best-{file.name}")
    files = [file for file in files if recorded[file.name]]
    if not files or tracking is None:
        raise UserError(
            f"no runs of any experiment in {place}/: run make best-NAME, where NAME is a file in experiments/"
        )
    folder = folder or runs_folder() / "report"
    folder.mkdir(parents=True, exist_ok=True)
    chapters = [chapter(file, recorded[file.name], tracking, folder) for file in files]
    path, what = folder / "report.md", f"tables and figures of {', '.join(file.name for file in files)}"
    said = [f"{os.path.relpath(path)}: {what}"]
    write_file(path, joined(["# Report", committed.NOTE, *chapters]) + "\n")
    if pages:
        best = [(file, found) for file in files if (found := choose(file, recorded[file.name]))]
        clips = listening.write(folder / listening.NAME, best, tracking)
        page.render(
            "report.html",
            folder / "report.html",
            chapters=chapters,
            note=committed.NOTE,
            listening=listening.NAME if clips else "",
        )
        said = [f"{os.path.relpath(folder / 'report.html')}: {what}, to open or send; beside it {path.name}"]
        said[0] += f" and {listening.NAME} with {clips}" if clips else ""
    if updated:
        said.append(committed.update(updated, tracking))
    elif results and results.is_file():
        said.append(_update_in_passing(results, tracking))
    return "\n".join(said)


def _update_in_passing(path: Path, tracking: Tracking) -> str:
    """The page of results written in passing: a page without markers is no mistake then."""
    try:
        page = committed.read(path, large=True)
    except UserError as error:
        return f"{error}; left unchanged"
    return committed.update([page], tracking)
