"""The texts of findings, and the page that is made of them."""

from pathlib import Path

import pytest

from audiomtl.findings import KINDS, Finding, Report, as_markdown

CONSTANTS = "\n<!-- numbers: constants -->\n"  # the one thing on the page that is written by hand
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "when-it-does-not-learn.md"


def test_the_page_has_the_texts_of_the_program():
    page = PAGE.read_text(encoding="utf-8").replace(CONSTANTS, "")
    assert page.endswith(as_markdown())


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_is_measured_why_and_what_to_change(name):
    kind = KINDS[name]
    assert kind.name == name and min(len(kind.measured), len(kind.why), len(kind.change)) > 20
    assert kind.why.endswith(".") and not kind.change.endswith(".")


def test_a_finding_of_an_experiment_names_its_settings_with_their_values():
    settings = {"features.scaling": "none", "heads.pitch.labelled_share": 0.5, "optimizer.clipnorm": 0.0}
    findings = (
        Finding("unscaled input", 'input "frames"', "mean -70"),
        Finding("no labels", 'output "pitch"', "no item has a label"),
    )
    text = Report(findings, "mine", "10 steps", settings).text
    assert text.startswith('mine: 2 findings (10 steps)\n- unscaled input: input "frames": mean -70\n')
    assert 'features.scaling (now "none"): scale the input' in text
    assert "heads.pitch.labelled_share (now 0.5)" in text and "clipnorm" not in text


def test_a_report_without_findings_is_one_line():
    report = Report((), "mine")
    assert str(report) == "mine: nothing found that prevents learning" and not report.names and not report
