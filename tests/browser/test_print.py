"""Slides on paper, and the page that lists them."""

import re

import pytest

from conftest import BUILD

DECKS = sorted(p.name for p in (BUILD / "slides").glob("[0-9]*.html"))


@pytest.mark.parametrize("name", DECKS)
def test_each_slide_is_one_page_of_the_pdf_and_none_is_cut(window, name):
    page = window.open(f"slides/{name}?print-pdf", "document.querySelector('.pdf-page')")
    page.wait_for_function("document.readyState == 'complete' && Reveal.isReady()")
    page.wait_for_timeout(500)
    slides = page.locator(".pdf-page").count()
    assert slides == page.locator("section").count() >= 12
    cut = """const hidden = f => getComputedStyle(f).visibility != "visible";
    [...document.querySelectorAll('.pdf-page')].filter(page => {
      const frame = page.querySelector('.frame').getBoundingClientRect();
      const sheet = page.getBoundingClientRect();
      return frame.bottom > sheet.bottom + 1 || frame.right > sheet.right + 1
        || [...page.querySelectorAll('.column')].some(c => c.scrollHeight > c.clientHeight + 2)
        || [...page.querySelectorAll('.fragment')].some(hidden);
    }).length"""
    assert page.evaluate(cut) == 0
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == slides


def test_a_handout_has_two_whole_slides_on_each_page_of_a4(window):
    name = next(name for name in DECKS if name.startswith("02"))
    page = window.open(f"slides/{name}?print-pdf&two", "document.querySelector('.pdf-page')")
    page.wait_for_function("document.readyState == 'complete' && Reveal.isReady()")
    page.wait_for_timeout(500)
    slides = page.locator(".pdf-page").count()
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == -(-slides // 2)
    sizes = re.findall(rb"/MediaBox \[0 0 (\d+)[\d.]* (\d+)", pdf)
    assert set(sizes) <= {(b"594", b"841"), (b"595", b"841"), (b"595", b"842")}


def test_the_speakers_view_opens_with_the_notes(window):
    page = window.open(f"slides/{DECKS[0]}", "window.Reveal && Reveal.isReady()")
    page.evaluate("Reveal.slide(2)")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    view = popup.value
    view.wait_for_function("document.querySelector('.speaker-controls-notes .value').innerText")
    assert "you should be at" in view.inner_text(".speaker-controls-notes .value")
    hidden = "[...document.querySelectorAll('mjx-assistive-mml')].every(e => e.offsetWidth <= 1)"
    assert view.evaluate(hidden)


def test_the_index_leads_to_every_deck(window):
    page = window.open("slides/index.html")
    links = page.locator("ol a")
    assert links.count() == len(DECKS)
    assert page.locator("ol li").count() == 13
    links.first.focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    links.first.click()
    page.wait_for_function("window.Reveal && Reveal.isReady()")
