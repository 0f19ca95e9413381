"""The pages that are made for the site: links, anchors, docstrings. No browser, no Sphinx."""

import re

import pytest

from tools import course, explorables, site

CHAPTERS = course.chapters()
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def test_every_equation_has_a_chapter_code_and_a_test():
    found = course.equations()
    assert len(found) >= 50
    for equation in found.values():
        assert equation.code, equation.name
        assert equation.tests, equation.name
        assert equation.tex.strip()
        assert "\\tag" not in equation.tex


def test_the_table_links_every_equation_to_anchor_and_api():
    table = site.equation_table()
    for equation in course.equations().values():
        (row,) = re.findall(rf"^\| {{ref}}`{equation.name} <eq-{equation.name}>` .*$", table, re.M)
        shown = [name for name in equation.code if not site.NOT_PUBLIC.search(name)]
        assert all(f"<{name}>`" in row for name in shown)
        assert all(f"`{test}`" in row for test in equation.tests)


def test_what_is_private_has_no_link():
    assert site._code("lfm.bound.kl") == "{py:obj}`bound.kl <lfm.bound.kl>`"
    assert site._code("lfm.engine.quadratic.solve") == "`lfm.engine.quadratic.solve`"


@every_chapter
def test_equations_and_figures_of_a_chapter_have_anchors(path):
    made = site.page(path)
    text = "\n".join(c.source for c in made.cells if c.cell_type == "markdown")
    for equation in course.equations().values():
        if equation.chapter == path:
            assert text.count(f"\n\n(eq-{equation.name})=\n$$") == 1
    for figure in course.figures():
        if figure.chapter == path:
            assert text.count(f'<span id="fig-{figure.cell}"></span>') == 1
            (cell,) = [c for c in made.cells if c.id == figure.cell]
            assert cell.metadata.mystnb.image.alt == figure.alt


@pytest.mark.parametrize("made", explorables.ALL.values(), ids=lambda made: made.name)
def test_an_explorable_stands_below_its_figure(made):
    chapter, name = made.below.split("/")
    (path,) = [p for p in CHAPTERS if p.stem[:2] == chapter]
    cells = site.page(path).cells
    (at,) = [i for i, cell in enumerate(cells) if course.figure_name(cell.source) == name]
    assert f"../_static/explorables/{made.name}/00.png" in cells[at + 1].source


@every_chapter
def test_a_page_offers_its_notebook_and_its_handouts(path):
    _, cell = site.page(path).cells[:2]
    for at in (f"notebooks/{path.name}", f"student/{path.name}", f"teacher/{path.name}"):
        assert f'href="../files/{at}" download' in cell.source
    (other,) = re.findall(r'href="([^"]+)"', site.downloads(course.solutions(path)))
    assert other == f"../../files/notebooks/solutions/{path.name}"


def test_what_is_offered_is_written(tmp_path):
    site.offered(tmp_path / "files")
    for path in CHAPTERS:
        at = tmp_path / "files" / "notebooks"
        assert (at / path.name).read_bytes() == path.read_bytes()
        assert (at / "solutions" / path.name).exists()
        assert (tmp_path / "files" / "student" / path.name).exists()
        assert (tmp_path / "files" / "teacher" / path.name).exists()
    assert (tmp_path / "files" / "bibliography.bib").exists()


def test_links_to_colab_and_binder_are_there_once_there_is_an_address(monkeypatch):
    monkeypatch.setattr(site.frame, "address", lambda: "")
    assert "colab" not in site.downloads(CHAPTERS[0])
    assert "mybinder" not in site.open_it()
    monkeypatch.setattr(site.frame, "address", lambda: "https://github.com/owner/name")
    assert "colab.research.google.com/github/owner/name/" in site.downloads(CHAPTERS[0])
    assert "mybinder.org/v2/gh/owner/name/" in site.open_it()


def test_the_gallery_shows_every_figure_with_its_text():
    gallery = site.gallery()
    figures = course.figures()
    assert len(figures) >= 50
    for figure in figures:
        assert f'href="notebooks/{figure.chapter.stem}.html#fig-{figure.cell}"' in gallery
    assert len(re.findall(r'alt="[^"]{20,}"', gallery)) == len(figures)


def test_every_public_module_is_in_the_api():
    public = {p.stem for p in (course.ROOT / "lfm").glob("*.py") if not p.stem.startswith("_")}
    public |= {"checks"}
    assert set(site.modules()) == public
    assert {f"lfm.{m}.rst" for m in public} | {"lfm.rst", "index.md"} == set(site.api())


def test_a_docstring_becomes_rst_with_links_to_equations():
    text = "Return p(x | z), see Eq. old-posterior.\n\n    a * b\n\n- one `x_n`;\n- two *_."
    assert site.to_rst(text) == (
        "Return p(x \\| z), see Eq. :ref:`old-posterior <eq-old-posterior>`\\ .\n\n"
        "::\n\n    a * b\n\n- one ``x_n``\\ ;\n\n- two \\*\\_.\n"
    )


def test_the_front_page_leads_to_pages_of_the_site():
    front = site.front()
    links = re.findall(r"\]\(([^)]+)\)", front)
    assert "solutions.md" in links
    assert "api/index.md" in links
    assert "api/lfm.toy.rst" in links
    assert not [x for x in links if x.endswith(".py") or x == "notebooks/solutions"]
    for path in CHAPTERS:
        assert f"\nnotebooks/{path.stem}\n" in front


def test_the_glossary_names_chapters_that_exist_and_defines_each_term_once():
    text = (site.HERE / "glossary.md").read_text(encoding="utf-8")
    targets = dict(re.findall(r"^\[(\d\d)\]: (.+)$", text, re.M))
    used = set(re.findall(r"\[(\d\d)\](?!:)", text))
    assert used <= set(targets)
    assert all((course.ROOT / t).exists() for t in targets.values())
    entries = re.search(r"```\{glossary\}\n(.*?)```", text, re.S)[1]
    terms = re.findall(r"^(\S.*)$", entries, re.M)
    assert len(terms) >= 60
    assert len(set(terms)) == len(terms)
    assert terms == sorted(terms, key=str.lower)
    for definition in re.split(r"^\S.*$", entries, flags=re.M)[1:]:
        assert re.search(r"\[\d\d\]", definition), definition
    for symbol in ("N", "D", "K", "S", "\\theta", "\\varphi", "q(Z)", "L(q, \\theta)", "r_{nk}"):
        assert re.search(rf"^\|[^|]*\${re.escape(symbol)}\$", text, re.M), symbol
