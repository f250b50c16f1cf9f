"""What a study has gained by choosing among many trials, said and logged when it ends.

Contents: `conclude`.
"""

from audiomtl.config import StudyFile
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.search import optimism
from audiomtl.harness.train.progress import console


def conclude(file: StudyFile, *, slots: int, threads: int, storage: str = "") -> None:
    """Estimate the optimism of the best trial; print it, and log it on the study's run."""
    tracking = Tracking()
    query = f"tags.kind = 'study' and tags.study_key = '{file.identity}'"
    parents = tracking.runs(file.experiment.name, query)
    if not parents:
        return
    parent = parents[0].info.run_id
    found = optimism.measure(file, parent, judged_folds(file), slots=slots, threads=threads, storage=storage)
    for one in found:
        console().print(f"study {file.name}: {one.line}", highlight=False)
        if one.again:
            name = "optimism/seeds" if len(found) == 1 else f"optimism/seeds/{one.metric}"
            tracking.client.log_metric(parent, name, one.value)


def judged_folds(file: StudyFile) -> tuple[int, ...]:
    """Inner folds on which the trials of a study are judged."""
    return (0,)
