"""Decks: their format on small ones, and what every deck of a chapter keeps to."""

import itertools
import re

import pytest
from matplotlib.text import Text

from lfm import figures
from tools import course, explorables, slides

CHAPTERS = course.chapters()
DECKS = slides.decks()
every_deck = pytest.mark.parametrize(
    ("chapter", "deck"), list(DECKS.items()), ids=[p.stem for p in DECKS]
)
TWO = CHAPTERS[2]
NAMES = slides.Names(TWO)
MOST_WORDS = 40


def made(tmp_path, text, note="\n\nNote: 1 min. Say it.\n"):
    """Return the slides of a deck with this text."""
    deck = tmp_path / "99_deck.md"
    deck.write_text(text + note, encoding="utf-8")
    return slides.read(deck)


def shown(tmp_path, text):
    """Return the HTML of a slide."""
    (slide,) = made(tmp_path, text)
    return slides.slide_html(slide, NAMES, 0, 1)


# ------------------------------------------------------------------ the format


def test_a_deck_is_cut_at_rules_and_its_notes_are_apart(tmp_path):
    text = "# A\n\nNote: 1.5 min. One.\n\nTwo.\n\n---\n## B\n\n| a |\n|---|"
    first, second = made(tmp_path, text)
    assert (first.minutes, second.minutes) == (1.5, 1)
    assert first.notes == " One.\n\nTwo.\n"
    assert "Two" not in first.body
    assert [b.text for b in second.blocks] == ["## B", "| a |\n|---|"]
    assert (second.where(), second.blocks[1].line) == ("99_deck.md:8", 10)


def test_a_slide_without_its_time_is_an_error(tmp_path):
    for note in ("", "\n\nNote: Say it.", "\n\nNote: two min."):
        (slide,) = made(tmp_path, "## A", note)
        with pytest.raises(ValueError, match=r"^99_deck\.md:1: the slide needs .*'Note: 2 min"):
            _ = slide.minutes


def test_a_plus_builds_what_follows_it(tmp_path):
    html = shown(tmp_path, "## A\n\nAt once.\n\n+ Later\n  than *that*.\n+ - a point\n\n+ $$a$$")
    assert '<div class="text"><p>At once.</p></div>' in html
    assert '<div class="text fragment"><p>Later\nthan <em>that</em>.</p></div>' in html
    assert re.search(r'<div class="text fragment"><ul>\s*<li>a point', html)
    assert '<div class="eq fragment">$$a$$</div>' in html


def test_a_derivation_stands_in_three_columns_and_is_built_line_by_line(tmp_path):
    html = shown(tmp_path, "## A\n\n$a < 1 &= b$ | since\n+ $&\\ge c & d$ | *as* $x$ is\n\nEnd.")
    (table,) = re.findall(r'<div class="derivation">(.*?)\n</div>\n', html, flags=re.S)
    first, second = table.strip().splitlines()
    assert first.startswith('<div class="step"><div>$\\displaystyle {}a &lt; 1 $</div><div>$')
    assert "= b$</div><div><p>since</p></div></div>" in first
    assert second.startswith('<div class="step fragment"><div></div><div>$')
    assert "\\ge c &amp; d$" in second
    assert "<em>as</em>" in second
    assert html.index("End.") > html.index(table)


def test_bars_make_columns_and_code_keeps_its_blank_lines(tmp_path):
    html = shown(tmp_path, "## A\n\nleft\n\n||\n\n```python\nx = 1\n\n+ y\n```")
    left, right = html.split('<div class="column">')[1:]
    assert "left" in left
    assert "<pre" in right
    assert "\n\n" in right.split("<pre")[1]
    assert "fragment" not in right


def test_only_words_are_counted(tmp_path):
    text = "## Two words\n\n$a b$ one-word 17 it's {figure two-bells}\n\n$$c \\text{ d}$$\n\n| e |"
    assert made(tmp_path, text)[0].words == 5


# ------------------------------------------------------------------ names


def test_names_are_resolved(tmp_path):
    calls = {
        "{equation ascent}": r'<div class="eq">\$\$ \\ln p\(X\\mid\\theta_\{new\}\).* \$\$</div>'
        '<span class="name">ascent</span>',
        "{equation jensen}": "",  # of another chapter
        "{figure two-bells}": r'<img class="fig" src="figures/02-04.png" alt="A grey histogram',
        "{figure 01/bounds-that-touch}": 'src="figures/01-30.png"',
        "{panel two-summits/2}": '<svg class="panel" role="img" aria-label="Panel 2 of: ',
        "{diagram turns}": r'<svg class="diagram" role="img" aria-label="Two boxes',
        "{quiz where-theta-stands}": '<div class="quiz fragment"><p>The learning step maximises',
        "{exercise learning-step}": r'<div class="exercise fragment"><p>Given data <code>x</code>',
        "{explorable em-half-steps}": '<input type="range" min="0"',
    }
    for call, wanted in calls.items():
        assert re.search(wanted, shown(tmp_path, f"## A\n\n+ {call}"), flags=re.S), call
    assert 'class="figure fragment"' in shown(tmp_path, "## A\n\n+ {figure two-bells}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("{figure two-bels}", r"no figure is named 'two-bels'; near it: 02/two-bells"),
        ("{panel two-summits/3}", r"no panel is named 'two-summits/3'; near it: 02/two-summits/"),
        ("{equation asscent}", r"no equation is named 'asscent'; near it: ascent"),
        ("{picture two-bells}", r"\{picture two-bells\}: a kind is one of equation, figure"),
        ("{quiz zzz}", "no quiz is named 'zzz'; near it: "),
    ],
)
def test_a_name_that_does_not_exist_is_an_error_that_names_deck_and_line(tmp_path, call, message):
    with pytest.raises(ValueError, match=rf"^99_deck\.md:4: {message}"):
        shown(tmp_path, f"## A\n\ntext\n{call}")


def test_an_equation_of_the_chapter_on_no_slide_is_an_error(tmp_path):
    names = [e.name for e in course.equations().values() if e.chapter == TWO]
    calls = [f"{{equation {name}}}" for name in names]
    slides.check(made(tmp_path, "\n\n".join(calls)), TWO)
    with pytest.raises(ValueError, match=rf"no slide shows {re.escape(calls[-1])}"):
        slides.check(made(tmp_path, "\n\n".join(calls[:-1])), TWO)


def test_a_diagram_says_in_words_what_it_shows(tmp_path):
    bare = tmp_path / "bare.svg"
    bare.write_text("<svg></svg>", encoding="utf-8")
    with pytest.raises(ValueError, match=r"bare\.svg has no <title>"):
        slides._diagram(bare)
    for path in (slides.DECKS / "diagrams").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert len(re.search(r"<title>(.+?)</title>", text)[1].split()) >= 8, path.name
        assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), path.name
        assert set(re.findall(r'id="([^"]+)"', text)) <= {f"{path.stem}-tip"}, path.name


# ------------------------------------------------------------------ explorables


@pytest.mark.parametrize("name", explorables.ALL)
def test_an_explorable_is_drawn_alike_twice_and_has_words_for_each_frame(name, monkeypatch):
    made = explorables.ALL[name]
    frames = made.frames()
    png = figures.png

    def with_large_type(fig, *dpi):
        written = [t for t in fig.findobj(Text) if t.get_text() and t.get_visible()]
        assert min(t.get_fontsize() for t in written) >= 13 * fig.get_figwidth() / 7.5
        return png(fig, *dpi)

    monkeypatch.setattr(figures, "png", with_large_type)
    again = made.frames.__wrapped__()
    assert 3 <= len(frames) <= 40
    assert [picture for picture, _ in frames] == [picture for picture, _ in again]
    assert all(len(words.split()) >= 6 for _, words in frames)
    assert all(a != b for (_, a), (_, b) in itertools.pairwise(frames))
    html = explorables.html(made, "somewhere")
    assert html.count("<img") == len(frames) == html.count("hidden") + 1
    assert "\n\n" not in html
    chapter, figure = made.below.split("/")
    assert any(f.chapter.stem[:2] == chapter and f.name == figure for f in course.figures())


# ------------------------------------------------------------------ every deck


def test_every_chapter_has_a_deck():
    assert list(DECKS) == CHAPTERS


def test_every_deck_belongs_to_a_chapter():
    assert {p.stem for p in slides.DECKS.glob("*.md")} <= {p.stem for p in CHAPTERS}


@every_deck
def test_a_deck_resolves_and_shows_every_equation(chapter, deck):
    page = slides.page(chapter, slides.read(deck))
    assert "{{" not in page
    assert not re.search(r'(src|href)="(https?:|//)', page)
    assert f"<title>{course.title(chapter)}</title>" in page


@every_deck
def test_a_slide_has_a_heading_and_few_words(chapter, deck):
    for slide in slides.read(deck):
        assert re.match(r"##? \S", slide.body), slide.where()
        tasks = slide.calls("quiz", "exercise")
        assert slide.words <= MOST_WORDS or tasks, f"{slide.where()}: {slide.words} words"
        assert len(slide.notes.split()) >= 8, f"{slide.where()}: what is to be said?"


@every_deck
def test_the_minutes_are_those_of_the_chapter_and_the_quizzes_come_on_top(chapter, deck):
    text = course.read(chapter).cells[0].source
    promised = int(re.search(r"\*\*Time\.\*\* (\d+)", text)[1])
    found = slides.read(deck)
    assert sum(s.minutes for s in found if not s.calls("quiz", "exercise")) == promised
    assert 0.35 <= len(found) / promised <= 0.8


@every_deck
def test_a_deck_is_built_step_by_step_and_asks(chapter, deck):
    found = slides.read(deck)
    built = [s for s in found if any(b.fragment for b in s.blocks) or s.calls("explorable")]
    assert len(built) >= len(found) / 3
    assert any(slides.STEP.fullmatch(b.text) for s in found for b in s.blocks)
    assert sum("> " in s.body or "Ask" in s.notes for s in found) >= 5
    quizzes = set(course.tasks(chapter, "quiz"))
    assert quizzes <= {name for s in found for name in s.calls("quiz")}


@every_deck
def test_no_solution_is_in_a_deck(chapter, deck):
    text = deck.read_text(encoding="utf-8")
    for cell in course.read(course.solutions(chapter)).cells:
        if "solution" in course.tags(cell):
            body = re.search(r"def .*?:\n(.*?)\n\n\n", cell.source, flags=re.S)
            assert body is None or body[1] not in text


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_tag_is_known(path):
    for notebook in (path, course.solutions(path)):
        for cell in course.read(notebook).cells:
            assert course.tags(cell) <= course.TAGS, cell.id
