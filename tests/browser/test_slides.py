"""Every slide of every deck, as it is shown: whole, legible, built by keys, and with notes."""

import re

import pytest

from conftest import BUILD, Window

DECKS = sorted(p.name for p in (BUILD / "slides").glob("[0-9]*.html"))
READY = "window.Reveal && Reveal.isReady()"

# For each slide, with all of it built, what sticks out of its frame or lies over something else.
# A slanted letter may stick out by a hair. In units of the slide.
OVERFULL = """() => Reveal.getSlides().map((slide, i) => {
  Reveal.slide(i, 0, 999);
  const k = Reveal.getScale(), found = [];
  const frame = slide.querySelector(".frame").getBoundingClientRect();
  const inside = (box, what) => {
    if (!box.width) return;
    const out = [frame.left + 30 * k - box.left, box.right - frame.right + 30 * k,
      box.bottom - frame.bottom + 8 * k, frame.top + 20 * k - box.top].map(x => Math.round(x / k));
    if (Math.max(...out) > 4) found.push(`${what} sticks out (left, right, below, above): ${out}`);
  };
  const named = element => `${element.className} '${element.textContent.trim().slice(0, 20)}'`;
  for (const element of slide.querySelectorAll("h1, h2, .column > *, .step > *, td, th"))
    inside(element.getBoundingClientRect(), named(element));
  for (const formula of slide.querySelectorAll(".frame mjx-container > svg")) {
    const box = formula.getBoundingClientRect();
    const cell = formula.closest(".eq, .step > *, td, p, li, h2");
    inside(box, "a formula");
    if (cell && box.width > cell.getBoundingClientRect().width + 4 * k)
      found.push(`a formula is wider than ${named(cell)}`);
  }
  for (const column of slide.querySelectorAll(".column")) {
    if (column.scrollHeight > column.clientHeight + 2)
      found.push(`the slide is too high by ${column.scrollHeight - column.clientHeight}`);
    if (column.scrollWidth > column.clientWidth + 4)
      found.push(`the slide is too wide by ${column.scrollWidth - column.clientWidth}`);
  }
  const wide = slide.querySelector("pre.code");
  if (wide && wide.scrollWidth > wide.clientWidth + 2) found.push("the code is too wide");
  const heading = slide.querySelector("h1, h2").innerText;
  return found.length ? `slide ${i + 1}, ${heading}: ${found}` : null;
}).filter(text => text)"""

# For each slide the smallest type, in units of the slide. Formulas and code in a line follow it.
SMALL = """() => Reveal.getSlides().map((slide, i) => {
  Reveal.slide(i, 0, 999);
  const size = element => parseFloat(getComputedStyle(element).fontSize);
  const frame = slide.querySelector(".frame");
  const sizes = [...frame.querySelectorAll("p, li, td, th, .eq, pre, .name, label")].map(size);
  for (const text of slide.querySelectorAll("svg.diagram text"))
    sizes.push(size(text) * text.getScreenCTM().d / Reveal.getScale());
  const least = Math.min(99, ...sizes);
  return least < 27.9 ? `slide ${i + 1}: ${least}` : null;
}).filter(text => text)"""

SMALL_FIGURES = """() => Reveal.getSlides().map((slide, i) => {
  Reveal.slide(i, 0, 999);
  const image = slide.querySelector("img.fig:not([hidden])");
  if (!image) return null;
  const [w, h] = [image.clientWidth, image.clientHeight];
  const scale = Math.min(w / image.naturalWidth, h / image.naturalHeight);
  const [wide, high] = [scale * image.naturalWidth, scale * image.naturalHeight];
  const columns = slide.querySelectorAll(".column").length;
  return wide < 1000 / columns && high < 440 ? `slide ${i + 1}: ${wide} x ${high}` : null;
}).filter(text => text)"""


@pytest.fixture(scope="module", params=DECKS)
def window(request, browser):
    """A deck, opened once for all tests of it."""
    window = Window(browser)
    window.open(f"slides/{request.param}", READY)
    yield window
    window.context.close()


@pytest.fixture
def deck(window):
    return window.page


def test_no_slide_is_overfull_and_every_formula_is_whole(deck):
    assert deck.evaluate("Reveal.getTotalSlides()") >= 12
    assert deck.evaluate(OVERFULL) == []


def test_type_is_large_and_figures_fill_the_slide(deck):
    assert deck.evaluate(SMALL) == []
    assert deck.evaluate(SMALL_FIGURES) == []


def test_formulas_are_set(deck):
    assert deck.locator(".frame mjx-container").count() >= 5
    assert deck.locator("mjx-merror, [data-mjx-error]").count() == 0
    text = deck.evaluate(
        "[...document.querySelectorAll('.frame, .notes')].map(e => e.innerText).join()"
    )
    assert "\\tag" not in text
    assert "$" not in text


def test_every_slide_has_timed_notes_and_every_figure_a_text(deck):
    notes = deck.evaluate("Reveal.getSlides().map(s => s.querySelector('aside.notes').textContent)")
    assert all(re.match(r"\s*[\d.]+ min \(of [\d.]+; you should be at [\d.]+\)", n) for n in notes)
    alts = deck.evaluate("[...document.querySelectorAll('img')].map(i => i.alt)")
    assert all(len(alt.split()) >= 5 for alt in alts)
    assert deck.evaluate("[...document.querySelectorAll('img')].every(i => i.naturalWidth > 0)")
    assert deck.evaluate("document.documentElement.lang") == "en"


def test_one_key_reaches_every_fragment_and_every_slide(deck):
    deck.evaluate("Reveal.slide(0)")
    steps = deck.evaluate("document.querySelectorAll('.fragment').length") + deck.evaluate(
        "Reveal.getTotalSlides()"
    )
    seen = set()
    for _ in range(steps):
        seen |= set(
            deck.evaluate("""() => [...document.querySelectorAll('.fragment')]
            .map((e, i) => [e, i]).filter(([e]) => e.matches('section.present .visible')
              && getComputedStyle(e).visibility == 'visible').map(([, i]) => i)""")
        )
        deck.keyboard.press("ArrowRight")
    assert deck.evaluate("Reveal.isLastSlide()")
    assert len(seen) == deck.evaluate("document.querySelectorAll('.fragment').length")
    deck.keyboard.press("Home")
    assert deck.evaluate("Reveal.getIndices().h") == 0


def test_a_slider_moves_by_key_and_gives_the_keys_back(deck):
    boxes = deck.locator("figure.explorable")
    for i in range(boxes.count()):
        box = boxes.nth(i)
        box.evaluate("e => Reveal.slide(Reveal.getIndices(e.closest('section')).h)")
        at = deck.evaluate("Reveal.getIndices().h")
        box.locator("input").focus()
        last = box.locator("img").count() - 1
        for key, at_frame in (("ArrowRight", 1), ("End", last), ("ArrowLeft", last - 1)):
            words = box.locator("figcaption").inner_text()
            deck.keyboard.press(key)
            assert box.locator("figcaption").inner_text() != words
            assert box.locator("img:not([hidden])").count() == 1
            assert box.locator("img").nth(at_frame).is_visible()
        deck.keyboard.press("Escape")
        assert not deck.evaluate("Reveal.isOverview()")
        deck.keyboard.press("ArrowRight")
        assert deck.evaluate("Reveal.getIndices().h") == at + 1


def test_nothing_outside_was_asked_for_and_nothing_went_wrong(window):
    assert window.trouble == []
