"""Every slide of every chapter, as it is shown: whole, legible, set, and with notes."""

import re

import pytest

from conftest import BUILD, Window

CHAPTERS = sorted(p.name for p in (BUILD / "slides").glob("[0-9]*.html"))
READY = "window.Reveal && Reveal.isReady()"

# For each slide what sticks out of it, in units of the slide; a slanted letter may, by a hair.
OVERFULL = """() => Reveal.getSlides().map((slide, i) => {
  Reveal.slide(i);
  const found = [];
  for (const box of slide.querySelectorAll(".frame, .body")) {
    if (box.scrollHeight > box.clientHeight + 1) found.push(box.className + " is too high");
    if (box.scrollWidth > box.clientWidth + 4) found.push(box.className + " is too wide");
  }
  if (slide.scrollHeight > 721) found.push("the slide is too high: " + slide.scrollHeight);
  return found.length ? `${i} ${slide.querySelector("h1, h2").innerText}: ${found}` : null;
}).filter(text => text)"""

# For each slide the smallest type in use, formulas and code apart.
SMALLEST = """() => Reveal.getSlides().map((slide, i) => {
  Reveal.slide(i);
  const texts = slide.querySelectorAll(".claim p, .caption p, .task p, li, td");
  return Math.min(99, ...[...texts].map(t => parseFloat(getComputedStyle(t).fontSize)));
})"""


@pytest.fixture(scope="module", params=CHAPTERS)
def window(request, browser):
    """The slides of a chapter, opened once for all tests of them."""
    window = Window(browser)
    window.open(f"slides/{request.param}", READY)
    yield window
    window.context.close()


@pytest.fixture
def deck(window):
    return window.page


def test_all_chapters_have_slides():
    chapters = [p.stem for p in (BUILD.parent / "notebooks").glob("[0-9]*.ipynb")]
    assert [f"{c}.html" for c in sorted(chapters)] == CHAPTERS


def test_no_slide_is_overfull(deck):
    assert deck.evaluate("Reveal.getTotalSlides()") >= 12
    assert deck.evaluate(OVERFULL) == []


def test_type_is_large_and_figures_fill_the_slide(deck):
    tables = deck.evaluate("Reveal.getSlides().map(s => !!s.querySelector('table'))")
    sizes = deck.evaluate(SMALLEST)
    assert all(size >= (24 if t else 28) for size, t in zip(sizes, tables, strict=True)), sizes
    formulas = "[...document.querySelectorAll('.eq')].map(e => parseFloat(e.style.fontSize))"
    assert min(deck.evaluate(formulas), default=99) >= 22
    figures = """() => Reveal.getSlides().map((slide, i) => {
      const image = slide.querySelector("img.fig");
      if (!image) return null;
      Reveal.slide(i);
      const [w, h] = [image.clientWidth, image.clientHeight];
      const scale = Math.min(w / image.naturalWidth, h / image.naturalHeight);
      return Math.max(scale * image.naturalWidth / 1180, scale * image.naturalHeight / 460);
    }).filter(share => share !== null)"""
    assert all(share > 0.9 for share in deck.evaluate(figures))


def test_formulas_are_set(deck):
    assert deck.locator("mjx-container").count() >= 5
    assert deck.locator("mjx-merror").count() == 0
    text = deck.evaluate("document.querySelector('.slides').textContent")
    assert "\\tag" not in text
    assert "$$" not in text


def test_every_slide_has_timed_notes_and_every_figure_a_text(deck):
    notes = deck.evaluate("Reveal.getSlides().map(s => s.querySelector('aside.notes').textContent)")
    assert all(re.search(r"[\d.]+ min \(of \d+.*you should be at [\d.]+\)", n) for n in notes)
    alts = deck.evaluate("[...document.querySelectorAll('img')].map(i => i.alt)")
    assert all(len(alt.split()) >= 5 for alt in alts)
    assert deck.evaluate("[...document.querySelectorAll('img')].every(i => i.naturalWidth > 0)")
    assert deck.evaluate("document.documentElement.lang") == "en"


def test_no_solution_is_shown(deck):
    for text in deck.locator("section.exercise").all_text_contents():
        assert "def " in text
        assert "..." in text
        assert "return" not in text.split("def ")[1].split("min (of")[0]


def test_keys_move(deck):
    deck.evaluate("Reveal.slide(0)")
    deck.keyboard.press("ArrowRight")
    assert deck.evaluate("Reveal.getIndices().h") == 1
    deck.keyboard.press("ArrowLeft")
    assert deck.evaluate("Reveal.getIndices().h") == 0
    deck.keyboard.press("End")
    assert deck.evaluate("Reveal.isLastSlide()")


def test_nothing_outside_was_asked_for_and_nothing_went_wrong(window):
    assert window.trouble == []
