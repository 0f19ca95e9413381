"""Slides on paper, and the page that lists them."""

import re

import pytest


@pytest.mark.parametrize("name", ["01_lower_bound", "04_factor_analysis"])
def test_each_slide_is_one_page_of_the_pdf_and_none_is_cut(window, name, tmp_path):
    page = window.open(f"slides/{name}.html?print-pdf", "document.querySelector('.pdf-page')")
    page.wait_for_function("document.readyState == 'complete' && Reveal.isReady()")
    page.wait_for_timeout(500)
    slides = page.locator(".pdf-page").count()
    assert slides >= 12
    cut = """[...document.querySelectorAll('.pdf-page')].filter(page => {
      const frame = page.querySelector('.frame').getBoundingClientRect();
      const sheet = page.getBoundingClientRect();
      const body = page.querySelector('.body');
      return frame.bottom > sheet.bottom + 1 || frame.right > sheet.right + 1
        || body.scrollHeight > body.clientHeight + 1;
    }).length"""
    assert page.evaluate(cut) == 0
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == slides


def test_the_speakers_view_opens_with_the_notes(window):
    page = window.open("slides/01_lower_bound.html", "window.Reveal && Reveal.isReady()")
    page.evaluate("Reveal.slide(2)")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    view = popup.value
    view.wait_for_function("document.querySelector('.speaker-controls-notes .value').innerText")
    assert "you should be at" in view.inner_text(".speaker-controls-notes .value")
    assert view.locator("mjx-container svg").count() >= 1
    hidden = "[...document.querySelectorAll('mjx-assistive-mml')].every(e => e.offsetWidth <= 1)"
    assert view.evaluate(hidden)


def test_the_index_leads_to_every_chapter(window):
    page = window.open("slides/index.html")
    links = page.locator("ol a")
    assert links.count() >= 11
    links.first.focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    links.first.click()
    page.wait_for_function("window.Reveal && Reveal.isReady()")
