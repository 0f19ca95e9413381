"""The rules by which notebooks become slides, on small cells and on every chapter."""

import re
from types import SimpleNamespace

import nbformat
import pytest

from tools import course, slides, typesetting

CHAPTERS = course.chapters()
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)

FIRST = """# 99 · A chapter

**The question.** Why?

**Where this stands.** Nowhere.

**You will be able to**
- do it;
- say why.

**Time.** 10 minutes, and 6 for the exercises."""


def text(source, *tags):
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source, *tags, alt="", said=""):
    outputs = []
    if alt:
        picture = {"image/png": "iVBORw0KGgo=", "text/plain": f"Figure: {alt}"}
        meta = {"image/png": {"alt": f"{alt}. y goes from 1 to 2."}}
        outputs = [nbformat.v4.new_output("display_data", picture, metadata=meta)]
    if said:
        outputs = [nbformat.v4.new_output("stream", text=said)]
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs)


def made(*cells, items=None):
    """Return the slides of a chapter with these cells, without title and aims."""
    return slides.make([text(FIRST), *cells], items)[2:]


def kinds(slide):
    return [p.kind for p in slide.parts]


def shown(some):
    return "\n".join(p.text for s in some for p in s.parts)


# ------------------------------------------------------------------ text


def test_blocks_tell_headings_equations_lists_tables_and_prose_apart():
    source = "## H\n\nSome $x$.\n\n$$\na = b\n\\tag{c}\n$$\n\n* one\n* two\n\n| a |\n|---|\n| b |"
    found = course.blocks(source)
    assert [b.kind for b in found] == ["heading", "prose", "equation", "list", "table"]
    assert found[2].text == "a = b\n\\tag{c}"
    assert found[3].text == "* one\n* two"


def test_sentences_are_cut_neither_in_formulas_nor_in_bold_words():
    found = slides.sentences("**Why? Because.** It is $a. B$ so. *Really?* Yes (see A). No.")
    assert found == ["**Why? Because.**", "It is $a. B$ so.", "*Really?*", "Yes (see A).", "No."]


@pytest.mark.parametrize(
    ("paragraph", "chosen"),
    [
        ("A long sentence with **bold words** in it that says enough. Another that is not.", {0}),
        (
            "What a thing is, said first. It is called **the thing**, as many know by now.",
            {0, 1},
        ),
        ("**Why is it so?** Since it has to be, and we shall see in a moment how. More.", {0, 1}),
        ("Nothing here is bold. So nothing is shown.", set()),
    ],
)
def test_claims_are_bold_and_bring_what_they_lean_on(paragraph, chosen):
    every = slides.sentences(paragraph)
    assert slides.claims(every) >= chosen
    assert bool(slides.claims(every)) == bool(chosen)


def test_long_items_of_a_list_are_cut_after_a_sentence():
    long = "- **Head.** " + "word " * 30 + "end. And so on, and on, and on."
    assert slides.heads(f"- short one.\n{long}") == [
        "- short one.",
        "- **Head.** " + "word " * 30 + "end.",
    ]
    assert slides.heads(long, whole=True) == [long]


# ------------------------------------------------------------------ sizes


def test_a_wide_equation_is_folded_and_a_narrow_one_is_not():
    assert slides.fold("a = b") == "a = b"
    parts = [rf"{c} = \sum_n \left(x_n - \mu_{c}\right)^2 + \ln p(x_n, z_n)" for c in "abc"]
    folded = slides.fold(", \\quad ".join(parts))
    assert folded.startswith("\\begin{gathered}")
    assert folded.count("\\\\[4pt]") == 1  # two fit beside each other
    chain = " = ".join([r"\ln p(X, Z \mid \theta) + \ln q(Z)"] * 4)
    assert slides.fold(chain).startswith("\\begin{aligned}")
    for tex in (folded, slides.fold(chain)):
        assert typesetting.tex_width(tex) * typesetting.MATH <= typesetting.WIDTH


def test_a_fraction_is_as_wide_as_its_wider_part():
    wide = typesetting.tex_width("abcdefgh")
    assert typesetting.tex_width(r"\frac{abcdefgh}{a}") == wide
    assert typesetting.tex_width(r"\frac{a}{abcdefgh}") == wide


# ------------------------------------------------------------------ the rules


def test_an_equation_stands_with_the_sentence_before_it_and_its_code_below():
    (slide,) = made(
        text(
            "## H\n\nFirst there are some words of no great weight. By the product rule it reads"
            "\n\n$$\na = b\n\\tag{n}\n$$"
        ),
        code("a = 1\nb = 1\nassert np.isclose(a, b)\nprint(a)", said="1\n"),
    )
    assert kinds(slide) == ["claim", "equation", "code", "output"]
    assert slide.parts[0].text == "By the product rule it reads"
    assert slide.parts[1].name == "n"
    assert "\\tag" not in slide.parts[1].text
    assert slide.parts[2].text == "a = 1\nb = 1"  # neither the assertion nor the print
    assert "assert np.isclose" in "\n".join(slide.notes)


def test_other_code_and_prose_are_for_the_speaker():
    bold = "A claim with **bold words** that is long enough to be shown without any of its"
    cells = text(f"## H\n\n{bold} neighbours beside it. Prose."), code("x = 1\nassert x")
    (slide,) = made(*cells)
    assert kinds(slide) == ["claim"]
    assert "Prose." not in shown([slide])
    assert "Prose." in slide.notes[0]
    assert "x = 1" in slide.notes[1]


def test_a_figure_has_a_slide_with_what_to_see_below_it():
    first, second = made(
        text("## H\n\nOne **claim** of a length that fills a slide by itself, more or less so."),
        code("draw()", alt="a line that rises from left to right"),
        text("See how it rises. It is steep at first. **Why?** Nobody knows, or nobody says so."),
    )[:2]
    assert (first.kind, second.kind) == ("text", "figure")
    assert kinds(second) == ["figure", "caption"]
    assert second.parts[1].text.startswith("See how it rises.")
    assert "It is steep at first." in second.notes[-1]
    assert second.parts[0].name == "a line that rises from left to right"


def test_a_figure_without_a_sentence_shows_its_text():
    (slide,) = made(text("## H"), code("draw()", alt="a line that rises"))
    assert slide.parts[1].text == "a line that rises."


@pytest.mark.parametrize("tag", ["slide-split", "slide-notes"])
def test_a_figure_does_not_take_the_sentence_of_a_cell_that_is_set_apart(tag):
    cells = text("## H"), code("draw()", alt="a line that rises"), text("Another thing.", tag)
    figure, *rest = made(*cells)
    assert figure.parts[1].text == "a line that rises."
    assert shown(rest) == ("Another thing." if tag == "slide-split" else "")


def test_a_section_without_a_claim_shows_its_first_sentences():
    (slide,) = made(text("## H\n\nPlain prose. And more of it."))
    assert kinds(slide) == ["claim", "claim"]


def test_exercises_show_their_task_and_quizzes_their_question():
    task, question = made(
        text("## Exercises\n\nWrite each function."),
        text("### Exercise 1 (easy): E\n\nReturn it."),
        code('from lfm.checks import check\n\n\ndef f(x):\n    ...\n\n\ncheck("f", f)', "exercise"),
        text("**Quiz.** Which is it, **a** or **b**?\n\n- a\n- b"),
        code('check("which", ...)', "quiz"),
    )
    assert (task.kind, question.kind) == ("exercise", "quiz")
    assert kinds(task) == ["task", "code"]
    assert task.parts[1].text == "def f(x):\n    ..."
    assert question.heading == "Quiz"
    assert question.parts[0].text == "Which is it, **a** or **b**?\n\n- a\n- b"
    assert "for the exercises" in task.timing


def test_after_a_quiz_the_section_goes_on():
    bold = "A claim with **bold words** of some length, quite enough to be shown here alone."
    found = made(
        text("## H\n\nPlain."), text("Which?"), code('check("w", ...)', "quiz"), text(bold)
    )
    assert [(s.kind, s.heading) for s in found] == [("text", "H"), ("quiz", "Quiz"), ("text", "H")]


@pytest.mark.parametrize(
    ("tag", "seen"),
    [
        ("slide-skip", []),
        ("slide-notes", ["claim"]),
        ("slide-code", ["code", "output"]),
        ("slide-output", ["output"]),
    ],
)
def test_tags_override_the_rules_for_code(tag, seen):
    found = made(text("## H\n\nPlain."), code("assert True", tag, said="so\n"))
    assert [k for s in found for k in kinds(s)] == (seen or ["claim"])
    assert ("assert True" in "".join(found[0].notes)) == (tag != "slide-skip")


def test_tags_override_the_rules_for_text():
    bold = "A claim with **bold words** of some length, quite enough to be shown here alone."
    assert len(made(text(f"## H\n\n{bold}"), text(bold.replace("A", "B", 1)))) == 1
    assert len(made(text(f"## H\n\n{bold}"), text(bold.replace("A", "B", 1), "slide-split"))) == 2
    quiet = made(text(f"## H\n\n{bold}"), text("Also **this** one.", "slide-notes"))
    assert "Also" not in shown(quiet)
    assert "Also" in quiet[0].notes[-1]
    whole = made(text(f"## H\n\n{bold}"), text("Not bold at all.", "slide-all"))
    assert "Not bold at all." in shown(whole)


def test_time_is_shared_by_words_and_ends_in_time():
    some = [slides.Slide("h", notes=["word " * n]) for n in (10, 30, 60)]
    slides.share_time(some, 10)
    assert [s.timing for s in some] == [
        "1 min (of 10; you should be at 0)",
        "3 min (of 10; you should be at 1)",
        "6 min (of 10; you should be at 4)",
    ]


TEACHING = """
## 99 · A chapter
**Aim.** To see.
### Misconceptions
- **H** · "Sums are easy." They are not, with a $\\log$.
### Board plan
1. (5 min) **H** · draw it.
### Questions
- **H** · Why so? *Because.*
"""


def test_misconceptions_and_questions_stand_in_the_notes_of_their_section():
    items = course.teaching_items(TEACHING)["99"]
    assert items == {
        "H": ['**Misconception:** "Sums are easy." They are not, with a $\\log$.',
              "**Ask:** Why so? *Because.*"]
    }  # fmt: skip
    (slide,) = made(text("## H\n\nPlain prose."), items=items)
    html = slides.slide_html(slide, 0)
    assert html.index("Misconception:") < html.index("Ask:") < html.index("</aside>")
    with pytest.raises(ValueError, match="names the section 'Elsewhere'; no slide has it"):
        made(text("## H\n\nPlain."), items={"Elsewhere": ["x"]})


def test_html_is_escaped_and_links_lead_to_slides():
    html = slides.to_html("[02](02_em.ipynb), [here](solutions/02_em.ipynb), $a < b$")
    assert 'href="02_em.html"' in html
    assert "solutions" not in html
    assert "a &lt; b" in html
    figure = slides._part_html(slides.Part("figure", "01-02", alt='say "a < b"'), 1.0)
    assert 'alt="say &quot;a &lt; b&quot;"' in figure


# ------------------------------------------------------------------ every chapter


@every_chapter
def test_every_tag_is_known(path):
    for notebook in (path, course.solutions(path)):
        for cell in course.read(notebook).cells:
            assert course.tags(cell) <= course.TAGS, cell.id


@every_chapter
def test_all_of_a_chapter_is_on_its_slides(path):
    cells = course.read(path).cells
    found = slides.make(cells, course.teaching().get(path.stem[:2]))
    parts = [p for s in found for p in s.parts]
    figures = [c.id for c in cells if course.drawn(c)]
    assert [p.text for p in parts if p.kind == "figure"] == figures
    assert all(p.name for p in parts if p.kind == "figure")
    names = [e.name for e in course.equations().values() if e.chapter == path]
    assert sorted({p.name for p in parts if p.kind == "equation"} - {""}) == sorted(names)
    exercises = [c for c in cells if "exercise" in course.tags(c)]
    assert sum(s.kind == "exercise" for s in found) == len(exercises)
    for slide in found:
        assert slide.parts, slide.heading
        assert slide.words() >= 4, slide.heading
        least = min(slides.TABLE_ZOOMS) if "table" in kinds(slide) else min(slides.ZOOMS)
        assert slide.height(least) <= slides.HEIGHT + 120, slide.heading
        code = [p.text for p in slide.parts if p.kind == "code"]
        assert all(len(c.splitlines()) <= slides.CODE_LINES for c in code)


@every_chapter
def test_the_minutes_of_a_chapter_are_those_it_promises(path):
    cells = course.read(path).cells
    promised, exercises = map(int, re.findall(r"\d+", slides._time(cells[0].source)))
    given = {"": 0.0, " for the exercises": 0.0}
    for slide in slides.make(cells):
        minutes, total, name, _ = re.fullmatch(
            r"([\d.]+) min \(of (\d+)( for the exercises)?; you should be at ([\d.]+)\)",
            slide.timing,
        ).groups()
        assert int(total) == (exercises if name else promised)
        given[name or ""] += float(minutes)
    assert given == {"": promised, " for the exercises": exercises}


@every_chapter
def test_no_solution_is_on_a_slide(path):
    text = "\n".join(map(slides.slide_html, slides.make(course.read(path).cells), range(99)))
    for cell in course.read(course.solutions(path)).cells:
        if "solution" in course.tags(cell):
            body = re.search(r"def .*?:\n(.*?)\n\n\n", cell.source, flags=re.S)[1]
            assert body not in text


def test_a_page_has_its_language_title_and_no_address():
    page = slides.page("99 · A & B", made(text("## H\n\nPlain.")))
    assert '<html lang="en">' in page
    assert "<title>99 · A &amp; B</title>" in page
    assert "http" not in page
    assert "{{" not in page


def test_code_is_shown_without_assertions_imports_and_prints():
    source = (
        "import numpy as np\n\nx = 1  # fmt: skip\nassert (\n    x\n)\nprint(\n    x\n)\n\n\ny = 2"
    )
    assert slides.for_slide(source) == "x = 1\ny = 2"
    assert slides.only_imports("import a\nfrom b import c")
    assert not slides.only_imports("import a\nx = 1")
    assert slides.printed(SimpleNamespace(outputs=[])) == ""
