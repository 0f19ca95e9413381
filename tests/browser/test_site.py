"""The site as a reader sees it who has no network."""

import re
import subprocess
import sys

import pytest

from conftest import BUILD
from tools import course

SITE = BUILD / "site"
CHAPTERS = sorted(p.stem for p in (BUILD.parent / "notebooks").glob("[0-9]*.ipynb"))
SET = "!window.MathJax || (window.MathJax.startup?.promise && document.readyState == 'complete')"


WITH_FORMULAS = sorted(
    str(p.relative_to(SITE)) for p in SITE.rglob("*.html") if 'class="math' in p.read_text("utf-8")
)

# Formulas that stick out of the page or of something that hides or scrolls what sticks out;
# but a wide table may scroll as a whole.
CUT = """() => [...document.querySelectorAll("article mjx-container")].filter(formula => {
  const scrolls = e => e?.clientWidth && e.scrollWidth > e.clientWidth + 2;
  if (scrolls(formula) || scrolls(formula.closest("div.math"))) return true;
  for (const part of formula.querySelectorAll("svg g[data-mml-node=math]")) {
    const box = part.getBoundingClientRect();
    for (let at = formula; box.width && at !== document.documentElement; at = at.parentElement) {
      if (at.matches(".pst-scrollable-table-container")) break;
      if (at !== document.body && getComputedStyle(at).overflowX === "visible") continue;
      const room = at.getBoundingClientRect();
      if (Math.max(room.left - box.left, box.right - room.right) > 1) return true;
    }
  }
  return false;
}).map(formula => formula.textContent)"""


def settled(page):
    """Wait until formulas are set."""
    page.evaluate("window.MathJax?.startup?.promise")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_shown_whole(window, name):
    page = window.open(f"site/notebooks/{name}.html", SET)
    settled(page)
    assert page.locator("mjx-container").count() >= 5
    assert page.locator("mjx-merror").count() == 0
    text = page.inner_text("main")
    assert "\\tag" not in text
    assert "Not yet: " in text  # exercises, not solutions
    images = page.evaluate("[...document.querySelectorAll('main img')].map(i => [i.alt, i.src])")
    assert all(len(alt.split()) >= 5 for alt, _ in images), images
    assert page.evaluate("[...document.querySelectorAll('main img')].every(i => i.naturalWidth)")


@pytest.mark.parametrize("name", WITH_FORMULAS)
def test_no_formula_is_cut_or_scrolls_on_any_screen(window, name):
    for width in (360, 800, 1280, 1920):
        window.page.set_viewport_size({"width": width, "height": 800})
        page = window.open(f"site/{name}", SET)
        settled(page)
        assert page.evaluate(CUT) == [], width


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("index.html", "What you will understand"),
        ("glossary.html", "Each entry names the chapter"),
        ("equations.html", "test_bound.py::"),
        ("gallery.html", "Every figure of the course"),
        ("solutions.html", "Solutions to chapter 03"),
        ("notebooks/solutions/03_gaussian_mixture.html", "Passed: "),
        ("api/index.html", "Every public module"),
        ("api/lfm.html", "Sizes, in code and text"),
        ("api/lfm.em.html", "BoundDecreased"),
        ("CONTRIBUTING.html", "Equations have names"),
        ("OPEN.html", "Every way, with its time"),
        ("bibliography.html", "Every work"),
    ],
)
def test_a_page_is_shown(window, name, text):
    page = window.open(f"site/{name}", SET)
    settled(page)
    assert text in page.inner_text("main")
    assert page.locator("mjx-merror").count() == 0


def test_search_finds_jensen(window):
    page = window.open("site/search.html?q=Jensen")
    page.wait_for_selector("#search-results li a")
    page.wait_for_function("!document.querySelector('#search-progress')?.innerText.includes('...')")
    assert "The lower bound" in page.inner_text("#search-results")


def targets(name: str) -> list[str]:
    text = (SITE / name).read_text(encoding="utf-8")
    main = text[text.index('<article class="bd-article"') : text.index("</article>")]
    return [h for h in re.findall(r'href="([^"]+)"', main) if not h.startswith(("#", "http"))]


@pytest.mark.parametrize("name", ["equations.html", "gallery.html", "glossary.html", "index.html"])
def test_every_link_leads_to_something(name):
    found = targets(name)
    assert len(found) >= 15
    pages = {}
    for target in found:
        file, _, anchor = target.partition("#")
        path = (SITE / name).parent / file
        assert path.exists(), target
        if anchor:
            text = pages.setdefault(file, path.read_text(encoding="utf-8"))
            assert f'id="{anchor}"' in text, target


@pytest.mark.parametrize("name", CHAPTERS)
def test_what_a_chapter_offers_can_be_downloaded(name):
    text = (SITE / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
    offered = re.findall(r'href="([^"]+)" download', text)
    assert len(offered) == 3
    assert all((SITE / "notebooks" / at).is_file() for at in offered)


def test_the_weekly_check_of_links_can_be_run(tmp_path):
    """Without a network: addresses elsewhere are left out."""
    elsewhere = ["-D", r"linkcheck_ignore=^https?://"]
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "linkcheck", *elsewhere]
    done = subprocess.run(
        [*command, BUILD / "site-src", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_equation_leads_to_its_chapter_and_to_its_code():
    text = (SITE / "equations.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr class=\"row-\w+\"><td>.*?</tr>", text, flags=re.S)
    assert len(rows) == len(course.equations())
    for row in rows:
        equation, code, test = re.findall(r"<td>(.*?)</td>", row, flags=re.S)
        assert re.search(r'href="notebooks/\d\d_\w+\.html#eq-', equation), row
        assert re.search(r'href="api/lfm', code), row
        assert "::" in re.sub(r"<[^>]+>", "", test), row
