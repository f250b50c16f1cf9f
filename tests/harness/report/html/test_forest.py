"""The forest plot of ablations."""

import math
import re

from audiomtl.harness.effects import Effect, Effects
from audiomtl.harness.record.runs import Arm
from audiomtl.harness.report.html import forest, svg

EFFECTS = {
    "small": Effect(0.01, -0.02, 0.04, "", "Does B matter?"),
    "large": Effect(-0.2, -0.3, -0.1, "", "Does B matter?"),
    "middle": Effect(0.05, 0.01, 0.09, "", "Does A matter?"),
    "tried": Effect(0.5, 0.4, 0.6, ""),
    "short": Effect(0.3, math.nan, math.nan, ""),
}


def test_questions_stand_together_largest_effect_first_and_exploratory_arms_last() -> None:
    arms = [Arm(name, {}) for name in [*EFFECTS, "not_run"]]
    [figure] = forest.figure(arms, Effects("test", EFFECTS, "", "", (1,), 0.3), "test score", "maximize")
    [drawing] = figure.drawings
    texts = re.findall(r"<text[^>]*>([^<]*)<", drawing)
    order = ["Does B matter?", "large", "small", "Does A matter?", "middle"]
    order += ["exploratory: no question was asked before", "tried", "short"]
    assert [text for text in texts if text in {*order, "not_run"}] == order
    assert "-0.2000 * [-0.3000, -0.1000]" in texts and "+0.5000 [+0.4000, +0.6000]" in texts
    assert "+0.3000" in texts and "◂ worse" in texts and "better ▸" in texts
    assert drawing.count("filled") == 2 and drawing.count("<circle") == 2  # large, middle; tried, short
    assert drawing.count('class="whisker') == 3 * 4


def test_the_line_of_no_difference_runs_through_no_text() -> None:
    arms = [Arm(name, {}) for name in EFFECTS]
    [figure] = forest.figure(arms, Effects("test", EFFECTS, "", "", (1,), 0.3), "test score", "maximize")
    lines = re.findall(r'y1="([\d.]+)" x2="[\d.]+" y2="([\d.]+)" class="zero"', figure.drawings[0])
    texts = [float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)"', figure.drawings[0])]
    assert len(lines) == len(EFFECTS)
    for top, bottom in ((float(one), float(two)) for one, two in lines):
        assert not any(top < y and y - 9 < bottom for y in texts)  # letters are 9 units high


def test_a_whisker_has_the_length_of_its_interval() -> None:
    arms = [Arm("large", {})]
    [figure] = forest.figure(arms, Effects("test", EFFECTS, "", "", (1,), 0.3), "test score", "minimize")
    places = re.findall(
        r'<line x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)" y2="[\d.]+" class="whisker c1">', figure.drawings[0]
    )
    scale = svg.Scale.over([0.0, -0.3, -0.1], 6, svg.WIDTH - 6)
    assert [float(one) for one in places[0]] == [round(scale(-0.3), 1), round(scale(-0.1), 1)]


def test_without_a_comparison_there_is_no_plot() -> None:
    assert forest.figure([Arm("a", {})], Effects("test", {}, "", "", (1,), 0.3), "score", "minimize") == []
