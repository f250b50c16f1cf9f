"""Importance of each swept setting in a study. Contents: `importances`."""

import warnings

import optuna
from optuna.trial import TrialState

from audiomtl.config import StudyFile
from audiomtl.harness.search.proposals import study_name
from audiomtl.harness.search.storage import open_storage


def importances(file: StudyFile, storage: str = "") -> dict[str, float]:
    """Relative influence of each swept setting on whether a trial is in the best quarter, largest first; the
    values sum to 1.

    PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255; it draws nothing at random) over the complete trials:
    it also weighs settings that only some trials have. Pruned trials have no score and are left out. The best
    quarter instead of Optuna's best tenth, which would be one or two trials of a study of some thirty.

    Returns
    -------
    {setting path: share, rounded to 3 digits}; empty for a study that is not in the storage, or has fewer
    than 4 complete trials or no two different scores, or several metrics, of which none decides alone.
    """
    if file.study.metrics:
        return {}
    try:
        study = optuna.load_study(study_name=study_name(file), storage=open_storage(storage))
    except KeyError:
        return {}
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a setting that one or two trials have: its share is inaccurate
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {
        path: round(share, 3)
        for path, share in sorted(found.items(), key=lambda item: (-round(item[1], 3), item[0]))
    }
