"""The report and the listening page: what they hold, and what a browser shows."""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from audiomtl.harness.report.html import page
from tests import browser
from tests.harness.report.html.conftest import NASTY, QUESTION

NAMES = ["report.html", "listening.html"]
SIZE = 8 * 2**20  # bytes of a page at most


class Elements(HTMLParser):
    """Start tags of a page, and whether each end tag has its start."""

    EMPTY = {"meta", "link", "br", "wbr"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("validation/phone_error_rate", "validation/<wbr>phone_<wbr>error_<wbr>rate"),
        ("heads.melody.weight = 0.5", "heads.<wbr>melody.<wbr>weight = 0.5"),
        ("`a_b` & c_d **e_f**", "<code>a_<wbr>b</code> &amp; c_<wbr>d <strong>e_<wbr>f</strong>"),
        ("1.25 [0.5, 1.5]", "1.25 [0.5, 1.5]"),
    ],
)
def test_long_names_in_tables_may_be_broken_behind_their_parts(text: str, html: str) -> None:
    assert page._breakable(page._inline(text)) == html


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_whole_and_escapes_every_name(pages: Path, name: str) -> None:
    whole = (pages / name).read_text()
    elements, text = Elements(whole).found, whole.replace("<wbr>", "")
    assert [tag for tag, _ in elements].count("script") == 1 and NASTY not in text
    assert NASTY in unescape(text) and len(text) < SIZE
    for tag, attributes in elements:
        for key in ("src", "href"):
            place = attributes.get(key) or "#"
            assert place.startswith(("#", "data:")) or place in NAMES, (tag, place)
    assert not re.search(r"@import|url\(", text)


def test_the_report_has_the_numbers_of_the_markdown_and_a_forest_plot(pages: Path) -> None:
    text, markdown = unescape((pages / "report.html").read_text()), (pages / "report.md").read_text()
    rows = re.findall(r"^\| (.*) \|$", markdown, re.MULTILINE)
    cells = {cell.replace("\\|", "|").replace("&lt;", "<") for row in rows for cell in re.split(r" \| ", row)}
    numbers = {cell for cell in cells if re.fullmatch(r"\[?[-+]?\d[\d.,+ -]*\]?", cell)}
    assert len(numbers) > 20 and {cell for cell in numbers if f">{cell}</td>" not in text} == set()
    forest = text[text.index("Effects of the ablations") :]
    assert QUESTION in text and "+0.0200" in forest and "difference in validation error rate" in forest


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Driven]:
    with browser.driven(tmp_path_factory.mktemp("browser")) as driven:
        yield driven


# the least contrast of a text with what is behind it (WCAG 2.2), but for texts that lie on a drawing's fields
CONTRAST = """(() => {
  const parts = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(one => one / 255)
    .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  let least = [99, ''];
  for (const one of document.querySelectorAll('h1,h2,h3,p,li,td,th,a,figcaption,footer,i,svg text:not(.on)')) {
    if (!one.textContent.trim() || !one.getClientRects().length) continue;
    const style = getComputedStyle(one);
    const colour = parts(one instanceof SVGElement ? style.fill : style.color);
    const [low, high] = [light(colour), light(behind(one))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least[0]) least = [ratio, one.outerHTML.slice(0, 200)];
  }
  return least;
})()"""

DECODED = """Promise.all([...document.querySelectorAll('img, image')].map(one => {
  const picture = new Image();
  picture.src = one.getAttribute('href') || one.src;
  return picture.decode().then(() => picture.naturalWidth);
}))"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_readable_on_a_phone_and_on_a_desk(
    pages: Path, chromium: browser.Driven, name: str, dark: bool
) -> None:
    for width in (360, 1280):
        chromium.faults.clear()
        chromium.open((pages / name).as_uri(), width=width, dark=dark)
        chromium.picture(pages / f"{name}_{width}_{'dark' if dark else 'light'}.png")
        assert chromium.run("document.documentElement.scrollWidth") == width
        assert chromium.faults == [] and chromium.asked == []
        assert chromium.run("window.hurt === undefined")
        ratio, where = chromium.run(CONTRAST)
        assert ratio >= 4.5, where
    assert chromium.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 22, 26)" if dark else "rgb(255, 255, 255)"
    )
    widths = chromium.run(DECODED)
    assert all(widths) and bool(widths) == (name == "listening.html")
    smallest = "Math.min(...[...document.querySelectorAll('svg text')].map(one => one.getBoundingClientRect().height))"
    chromium.open((pages / name).as_uri(), width=360)
    assert chromium.run(smallest) >= 8  # pixels


def test_the_player_plays_and_a_line_runs_over_the_spectrogram(pages: Path, chromium: browser.Driven) -> None:
    chromium.open((pages / "listening.html").as_uri())
    before = chromium.run("document.querySelector('.clip:has(audio) .head').getAttribute('x1')")
    played = """new Promise((done, failed) => {
      const audio = document.querySelector('audio');
      audio.addEventListener('timeupdate', () => { if (audio.currentTime > 0.2) done(audio.duration); });
      audio.play().catch(failed);
    })"""
    assert chromium.run(played) == pytest.approx(1.0, abs=0.01)  # seconds
    after = chromium.run("document.querySelector('.clip:has(audio) .head').getAttribute('x1')")
    assert float(after) > float(before)
    assert chromium.faults == []


def test_a_trial_is_highlighted_in_every_drawing_of_its_study(pages: Path, chromium: browser.Driven) -> None:
    chromium.open((pages / "report.html").as_uri())
    chosen = """(() => {
      const list = document.querySelector('.study select');
      list.value = '2';
      list.dispatchEvent(new Event('change'));
      return [...document.querySelectorAll('.chosen[data-trial]')].map(one => one.dataset.trial);
    })()"""
    found = chromium.run(chosen)
    assert len(found) >= 3 and set(found) == {"2"}  # history, parallel coordinates, slices
    assert "trial 2 (complete" in chromium.run("document.querySelector('.told').textContent")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_on_paper_which_is_white(pages: Path, chromium: browser.Driven, name: str) -> None:
    chromium.open((pages / name).as_uri(), width=420, dark=True, paper=True)
    chromium.picture(pages / f"{name}_paper.png")
    assert chromium.run("document.documentElement.scrollWidth") == 420
    assert chromium.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ratio, where = chromium.run(CONTRAST)
    assert ratio >= 4.5, where
    assert chromium.run("[...document.querySelectorAll('audio')].every(one => !one.getClientRects().length)")
