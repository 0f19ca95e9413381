"""Exams: what paper and key say, what two papers share, how points are given, what is refused.

That the keys are right is tested in `test_exam_keys.py` and `test_exam_schemes.py`.
"""

import importlib
import inspect
import re
import string
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from lfm import checks
from lfm.checks import exams
from lfm.checks.questions import filled, kinds

NAMES = [t.name for t in exams.templates()]
CHAPTERS = [f"{c:02d}" for c in range(1, 13)]
TEMPLATES = {t.name: t for t in exams.templates()}
SEEDS = range(8)


def in_words(template, seed: int) -> set[str]:
    """Return which of its variants in words a template asks: found in the paper, not computed."""
    posed = template.pose(seed)
    field = {"derive": "derive", "mistake": "because"}.get(template.kind, "why")
    text = posed.key() if field == "because" else posed.question()
    variants = [" ".join(variant[field].split()) for variant in template.words["words"]]
    return {v for v in variants if all(piece in text for piece in re.split(r"\{[^{}]*\}+", v))}


# ------------------------------------------------------------------ what two papers share


def test_two_seeds_share_no_question_in_words_unless_they_differ_by_a_multiple_of_three():
    asked = {s: [in_words(t, s) for t in exams.templates()] for s in (*range(7), 2026, 2027)}
    assert all(len(words) == 1 for some in asked.values() for words in some)
    for one, other in combinations(asked, 2):
        shared = set.union(*asked[one]) & set.union(*asked[other])
        assert len(shared) == (0 if (one - other) % 3 else len(NAMES)), (one, other)


def test_every_template_has_three_variants_and_no_words_stand_twice():
    asked = [
        " ".join(v.get("why", v.get("derive", v.get("because", ""))).split())
        for t in exams.templates()
        for v in t.words["words"]
    ]
    assert all(len(t.words["words"]) == kinds.VARIANTS == 3 for t in exams.templates())
    assert len(set(asked)) == len(asked) == 3 * len(NAMES)


def test_of_a_mistake_another_line_is_wrong_in_each_variant():
    for t in exams.templates():
        if t.kind == "mistake":
            assert len({v["line"] for v in t.words["words"]}) == 3, t.name
            assert all(1 <= v["line"] <= len(t.words["lines"]) for v in t.words["words"])


@pytest.mark.parametrize("questions", [None, 5, 8])
def test_half_of_the_points_and_of_the_questions_are_for_understanding(questions):
    for seed in range(80):
        chosen = exams._choose(np.random.default_rng([seed, 0]), CHAPTERS, questions or 12)
        posed = [t.pose(seed) for t in chosen]
        assert 2 * sum(p.understanding for p in posed) >= sum(p.points for p in posed)
        deep = sum(t.kind != "compute" for t in chosen)
        assert deep == (len(chosen) + 1) // 2
    _, key, _ = checks.exam(3, questions=questions)
    deep, total = map(int, re.search(r"(\d+) of (\d+) points are for understanding", key).groups())
    assert total <= 2 * deep < 2 * total


def test_the_bank_is_large_and_every_chapter_has_more_than_numbers():
    assert len(NAMES) >= 40
    found = {c: Counter(t.kind for t in exams.templates() if t.chapter == c) for c in CHAPTERS}
    assert sorted({t.chapter for t in exams.templates()}) == CHAPTERS
    for chapter, counts in found.items():
        assert counts["compute"] >= 2, chapter
        assert counts["derive"] >= 1, chapter
        assert counts["mistake"] + counts["figure"] >= 1, chapter
    assert sum(counts["figure"] for counts in found.values()) >= 4


def test_points_are_those_of_the_parts():
    for t in exams.templates():
        posed = t.pose(1)
        stated = [int(p) for p in re.findall(r"\[(\d+)\]$", posed.question(), flags=re.M)]
        assert posed.points == sum(stated)
        if t.kind != "compute":
            assert posed.understanding == posed.points
        if t.kind == "derive":
            given = [int(p) for p in re.findall(r"^\d+\. \((\d)\) ", posed.key(), flags=re.M)]
            assert sum(given) == posed.points
            assert 7 <= posed.points <= 10


# ------------------------------------------------------------------ paper and key


def sections(text: str) -> list[str]:
    return re.split(r"^## ", text, flags=re.M)[1:]


@pytest.mark.parametrize("seed", range(12))
def test_no_answer_stands_in_the_paper(seed):
    for template in exams.templates():
        posed = template.pose(seed)
        question = re.sub(r"!\[.*?\]\(.*?\)|\[\d+\]", "", posed.question("figure.png"))
        values = re.findall(r"\*\*(-?[\d.]+)\*\*", posed.key())
        asked = {float(n) for n in re.findall(r"\d+(?:\.\d+)?", question)}
        assert bool(values) == (template.kind in ("compute", "figure"))
        assert not asked & {abs(float(v)) for v in values}
        for part in posed.parts[len(posed.values) :]:
            assert part.answer.split("** ", 1)[-1] not in question
        assert template.name not in question


@pytest.mark.parametrize("seed", range(12))
def test_answers_are_large_enough_to_survive_rounding(seed):
    for template in exams.templates():
        values = [v for v in template.pose(seed).values if not isinstance(v, str)]
        assert all(np.isfinite(values))
        assert all(abs(v) >= 0.0095 for v in values), template.name


def test_two_seeds_give_two_exams_and_one_seed_the_same():
    (paper, key, figures), (other, other_key, _) = checks.exam(7), checks.exam(8)
    assert (paper, key, figures) == checks.exam(7)
    assert paper != other
    assert key != other_key
    whole, others = (sections(checks.exam(seed, questions=len(NAMES))[1]) for seed in (7, 8))
    assert not set(whole) & set(others)  # every single question differs


def test_figures_lie_beside_the_paper_under_the_names_that_it_calls():
    paper, key, figures = checks.exam(5, questions=len(NAMES))
    called = re.findall(r"^!\[.{60,}\]\((.+)\)$", paper, flags=re.M)
    assert called == list(figures)
    assert len(called) == sum(t.kind == "figure" for t in exams.templates())
    assert all(re.fullmatch(r"exam-5-question-\d+\.png", name) for name in called)
    assert not re.search(r"!\[[^\]]*\d", paper)  # a caption would give the answers away
    assert key.count("**For a student who cannot see the figure.** ") == len(figures)
    assert all(png.startswith(b"\x89PNG") and len(png) > 10_000 for png in figures.values())
    assert "png" not in key


def test_a_question_does_not_depend_on_what_else_is_asked():
    whole, part = checks.exam(5, questions=len(NAMES))[0], checks.exam(5, ["04"], 3)[0]
    strip = [s.split("\n", 1)[1].strip() for s in sections(whole)]
    assert all(s.split("\n", 1)[1].strip() in strip for s in sections(part))


def test_questions_are_spread_over_the_chapters_that_were_asked_for():
    for seed in SEEDS:
        chapters = re.findall(r"\(chapter (\d\d),", checks.exam(seed)[1])
        assert chapters == CHAPTERS
        chapters = re.findall(r"\(chapter (\d\d),", checks.exam(seed, ["07", "04"], 4)[1])
        assert chapters == ["04", "04", "07", "07"]
    drawn = {n for s in range(60) for n in re.findall(r"· (\S+) \(", checks.exam(s)[1])}
    assert drawn == set(NAMES)  # every template has its turn


def test_no_name_is_used_twice_and_the_order_is_that_of_the_course():
    assert len(set(NAMES)) == len(NAMES)
    assert [t.name for t in sorted(exams.templates(), key=lambda t: t.chapter)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_words_show_every_number_that_is_drawn_for_them_and_no_other(name):
    words, rng = TEMPLATES[name].words, np.random.default_rng(0)
    numbers = next(filter(None, (TEMPLATES[name].draw(rng) for _ in range(exams.DRAWS))))
    placeholders = {
        field for _, field, _, _ in string.Formatter().parse(" ".join(texts(words))) if field
    }
    assert {field.split("[")[0] for field in placeholders} == set(numbers.shown)
    assert len(words.get("asks", ())) == len(numbers.answers)
    assert (numbers.picture is None) == (TEMPLATES[name].kind != "figure")


def texts(words):
    """Yield every text of a table, however deep."""
    for value in words.values() if isinstance(words, dict) else words:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from texts(value)


def test_fields_that_make_no_kind_of_question_are_refused():
    words = {"text": "t", "words": [{"why": "w", "because": "b"}] * 3}
    with pytest.raises(ValueError, match=r"no kind of question has the fields \['text'\]"):
        kinds.kind(words)
    assert kinds.kind({"words": [{"derive": "d", "scheme": [[2, "line"]]}] * 3}) == "derive"


def test_every_function_that_draws_has_words():
    for chapter in CHAPTERS:
        members = vars(importlib.import_module(f"lfm.checks.questions.chapter_{chapter}"))
        own = [f for n, f in members.items() if inspect.isfunction(f) and not n.startswith("_")]
        own = [f for f in own if f.__module__.endswith(f"questions.chapter_{chapter}")]
        found = {f.__name__.replace("_", "-") for f in own}
        mine = [t for t in exams.templates() if t.chapter == chapter]
        assert found == {t.name for t in mine if t.draw is not exams._without_numbers}
        assert all(t.kind in ("derive", "mistake") for t in mine if t.name not in found)


def test_words_show_arrays_in_five_ways_and_keep_tables_and_braces():
    shown = {"x": np.array([1, 2.5]), "W": np.eye(2), "n": 3}
    text = "{x:list}; {x:vector}\n{W:matrix} {x:many} {x[1]:g} {n} {{n}}\n\n| {x:row} |\n| a  b |"
    assert filled(text, shown) == (
        "1, 2.5; (1, 2.5) [1, 0; 0, 1] 1.0000, 2.5000 2.5 3 {n}\n\n| 1.0 | 2.5 |\n| a  b |"
    )
    with pytest.raises(KeyError, match="theta"):
        filled("{theta:g}", shown)


def test_the_paper_says_time_points_and_how_to_round_and_the_key_how_to_mark():
    paper, key, _ = checks.exam(7)
    minutes, total = map(int, re.search(r"allowed: (\d+) minutes\. (\d+) points", paper).groups())
    points = [int(p) for p in re.findall(r"^## Question \d+ \((\d+) points\)", paper, flags=re.M)]
    assert sum(points) == total
    names = re.findall(r"· (\S+) \(", key)
    assert 5 <= minutes - sum(TEMPLATES[n].minutes for n in names) < 10
    assert minutes % 5 == 0
    assert "three decimals" in paper
    assert "share its points equally" in key
    assert "A wrong number costs its own points only" in key


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"seed": -1}, ValueError, "seed is -1; wanted at least 0"),
        ({"seed": True}, TypeError, "seed is True"),
        ({"seed": 1.5}, TypeError, "seed is 1.5"),
        ({"seed": 1, "chapters": ["00"]}, ValueError, "chapters has '00'; wanted some of 01, 02"),
        ({"seed": 1, "chapters": []}, ValueError, "wanted at least one, and none twice"),
        ({"seed": 1, "chapters": ["01", "01"]}, ValueError, "none twice"),
        ({"seed": 1, "chapters": "01"}, TypeError, "chapters is '01'; wanted a list"),
        ({"seed": 1, "questions": 0}, ValueError, "questions is 0; wanted between 1 and 52"),
        ({"seed": 1, "questions": 53}, ValueError, "questions is 53"),
        ({"seed": 1, "chapters": ["01"], "questions": 5}, ValueError, "wanted between 1 and 4"),
        ({"seed": 1, "questions": "3"}, TypeError, "questions is '3'"),
    ],
)
def test_bad_arguments_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        checks.exam(**arguments)


def test_values_are_written_in_one_way():
    assert [kinds.written(v) for v in (3, 3.0, -0.0001, 0.0005001, -2.5, "B")] == [
        "3", "3.000", "0.000", "0.001", "-2.500", "B",
    ]  # fmt: skip
