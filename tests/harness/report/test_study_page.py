"""The page of a study's own run: its best trial and its figures, from a store that is filled by hand."""

from audiomtl import config
from audiomtl.harness.report import study_page
from tests.harness.report.conftest import Store

NOTE = "mlflow.note.content"


def test_a_study_names_its_best_trial_and_shows_its_figures_once(store: Store) -> None:
    file, parent = config.load_study("tiny"), store.parent()
    store.tracking.add(parent, {}, {NOTE: "What it is."})
    study_page.put(store.tracking, file)  # no trial yet
    assert store.tracking.client.get_run(parent).data.tags[NOTE] == "What it is."
    best = ""
    for number, score in enumerate((0.5, 0.4, 0.45)):
        run = store.trial(number, {"best/validation/error_rate": score}, "complete")
        best = run if number == 1 else best
    for _ in range(2):
        study_page.put(store.tracking, file)
    tags = store.tracking.client.get_run(parent).data.tags
    assert tags["best_trial"] == "1" and tags[NOTE].startswith("What it is.\n\n**Best: [trial 1](#/exp")
    assert tags[NOTE].count("Best:") == 1 and f"/runs/{best})**, validation/error_rate 0.4000" in tags[NOTE]
    assert "\n- network.units = 8" in tags[NOTE]
    names = [item.path for item in store.tracking.client.list_artifacts(parent, "figures")]
    assert "figures/study_tiny_history.png" in names
