"""Availability of an experiment's data on this machine. Contents: `require`, `summary`."""

from typing import Any

from audiomtl.data import catalog, fetch


def require(settings: Any) -> None:
    """Generate or find the clips of an experiment, and the weights of its pretrained network.

    Raises
    ------
    MissingData : they are missing; the text names the expected folder and where they are published.
    """
    catalog.clips(settings.data)
    if hasattr(settings, "extractor") and settings.extractor.kind == "yamnet":
        fetch.weights(settings.extractor.weights)


def summary(settings: Any) -> str:
    """Number and total duration of the clips.

    And which raw labels were renamed, joined or dropped to get the clips' phones.
    """
    table = catalog.clips(settings.data)
    lines = [f"{len(table)} clips, {catalog.seconds(table).sum() / 60:.1f} minutes ({settings.data.dataset})"]
    report = getattr(catalog.module(settings.data), "label_report", None)
    if report and not settings.data.label:
        labels = report(catalog.data_folder())
        lines.append(
            labels.groupby("what")["count"]
            .agg(["size", "sum"])
            .set_axis(["raw labels", "times"], axis=1)
            .to_string()
        )
        lines.append(labels[labels["what"] == "renamed"].to_string(index=False, max_rows=60))
    return "\n".join(lines)
