"""The bibliography: every entry is whole, links are well formed, whatever is cited is in it."""

import re

import pytest

from tools import course, sources

CHAPTERS = course.chapters()
WORKS = sources.works()
every_work = pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)


@every_work
def test_a_work_has_author_year_title_and_place(work):
    assert all(re.fullmatch(r"[A-ZÀ-Þ][^,;]* \S+", name) for name in work.authors)
    assert 1900 <= work.year <= 2030
    assert work.title
    assert work.title[-1] != "."
    assert work.where
    assert "—" not in work.where
    first = work.surnames[0].lower().translate(str.maketrans("éøü", "eou"))
    assert work.key == f"{first}-{work.year}"


@every_work
def test_links_have_the_form_of_such_links(work):
    assert re.fullmatch(r"(10\.\d{4,5}/[A-Za-z0-9.:/_-]+)?", work.doi)
    if work.arxiv:
        year, month = re.fullmatch(r"(\d\d)(\d\d)\.(?:\d{4}|\d{5})", work.arxiv).groups()
        assert (int(year) >= 15) == (len(work.arxiv) == 10)  # five digits since 2015
        assert 1 <= int(month) <= 12
        assert 2000 + int(year) <= work.year or work.year < 2007  # old papers came later
    assert not work.url or re.fullmatch(r"https://[a-z.]+/[\w./?=-]+", work.url)
    assert not (work.url and (work.doi or work.arxiv))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_leads_to_three_to_six_works_each_in_one_sentence(path):
    items = sources.reading()[path.stem[:2]]
    assert 3 <= len(items) <= 6
    assert len({work.key for work, _ in items}) == len(items)
    for work, what in items:
        assert what.endswith("."), work.key
        assert 5 <= len(what.split()) <= 25, work.key
        assert not re.search(r"\.\s+[A-Z]", what), work.key


def test_every_work_is_read_or_cited():
    texts = [c.source for path in CHAPTERS for c in course.read(path).cells]
    named = sources.cited("\n".join(texts))
    assert len(named) >= 25
    known = {(work.surnames[i], work.year): work for work in WORKS.values() for i in (0, -1)}
    assert named <= set(known), named - set(known)
    used = {known[pair].key for pair in named}
    used |= {work.key for items in sources.reading().values() for work, _ in items}
    assert used == set(WORKS)


def test_a_citation_is_seen_in_every_form():
    text = "Wu 1983; (Neal and Hinton, 1998); Sønderby et al. 2016; Cappé (2009); in 2000 steps"
    wanted = {("Wu", 1983), ("Hinton", 1998), ("Sønderby", 2016), ("Cappé", 2009)}
    assert sources.cited(text) == wanted


def test_the_page_and_the_file_for_latex_have_them_all():
    page, file = sources.page(), sources.bibtex()
    assert file.count("@misc{") == len(WORKS)
    assert file.count("{") == file.count("}")
    for work in WORKS.values():
        assert work.title in page
        assert f"@misc{{{work.key},\n" in file
    for path in CHAPTERS:
        assert f"## {course.title(path)}\n" in page
