"""The quizzes: every option gets a reply of its own, and the notebooks ask what is registered."""

import itertools
import re
from collections import Counter
from pathlib import Path

import nbformat
import numpy as np
import pytest

from lfm import checks
from lfm.checks import quiz as quiz_files

ROOT = Path(__file__).parent.parent
QUIZZES = quiz_files.registered()
ALL = list(QUIZZES.values())
CHAPTERS = [f"{c:02d}" for c in range(13)]
WRITTEN = [p.name[:2] for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]

every_quiz = pytest.mark.parametrize("quiz", ALL, ids=lambda q: q.name)


def plain(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower())


@every_quiz
def test_the_right_letter_passes_and_says_why(quiz):
    for letter in (quiz.right, quiz.right.upper(), f" {quiz.right} "):
        verdict = checks.check(quiz.name, letter)
        assert verdict.passed
        assert repr(verdict) == f"Passed: {quiz.options[quiz.right].reply}"


@every_quiz
def test_each_wrong_letter_fails_with_a_reply_of_its_own(quiz):
    wrong = [letter for letter in quiz.options if letter != quiz.right]
    verdicts = [checks.check(quiz.name, letter) for letter in wrong]
    assert not any(verdicts)
    replies = [v.message for v in verdicts] + [quiz.options[quiz.right].reply]
    assert len(set(replies)) == len(quiz.options)
    assert all(len(reply.split()) >= 8 for reply in replies)


@every_quiz
def test_no_reply_to_a_wrong_letter_gives_the_answer_away(quiz):
    right = quiz.options[quiz.right]
    for letter in quiz.options:
        if letter != quiz.right:
            reply = checks.check(quiz.name, letter).message
            assert plain(right.text) not in plain(reply)
            assert plain(right.reply) not in plain(reply)
            assert not re.search(rf"\b(option|answer|letter) {quiz.right}\b", reply)


@every_quiz
def test_a_quiz_has_a_question_and_three_or_four_options(quiz):
    assert quiz.question.rstrip().endswith("?")
    assert "".join(quiz.options) in ("abc", "abcd")
    assert quiz.right in quiz.options
    texts = [o.text for o in quiz.options.values()]
    assert len(set(texts)) == len(texts)
    for text in (quiz.question, *texts):
        assert text.count("$") % 2 == 0


@every_quiz
def test_a_reply_is_plain_text_for_it_is_printed(quiz):
    for option in quiz.options.values():
        assert not re.search(r"[$`\\\n]", option.reply)
        assert not option.reply.endswith(".")


def test_there_are_three_a_chapter_in_order_and_no_name_is_an_exercises():
    assert [q.chapter for q in ALL] == sorted(CHAPTERS * 3)
    assert checks.quizzes() == list(QUIZZES)
    assert not set(checks.quizzes()) & set(checks.exercises())
    for chapter in CHAPTERS:
        assert checks.quizzes(chapter) == [q.name for q in ALL if q.chapter == chapter]
    assert checks.quizzes("99") == []


def test_no_letter_is_a_good_guess():
    counts = Counter(q.right for q in ALL)
    assert set(counts) == set("abcd")
    assert max(counts.values()) <= 11
    assert min(counts.values()) >= 7
    longest = [
        max(q.options, key=lambda k: len(q.options[k].text)) == q.right for q in QUIZZES.values()
    ]
    assert np.mean(longest) < 0.5  # nor is the longest option
    for chapter in CHAPTERS:
        assert len({QUIZZES[n].right for n in checks.quizzes(chapter)}) >= 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (..., r'put a, b, c or d in place of the dots, as in "a"'),
        (None, "in place of the dots"),
        ("e", "there is no option 'e'; wanted a, b, c or d"),
        ("", "there is no option ''"),
        ("ab", "there is no option 'ab'"),
        ("Inference " * 99, "there is no option 'Inference Inference '; wanted"),
        (1, 'this is a quiz: wanted a, b, c or d in quotes, as in "a", and not int'),
        (lambda q, p: 0.0, "and not a function"),
        (["a"], "and not list"),
        (np.zeros(3), "and not ndarray"),
    ],
)
def test_whatever_is_no_letter_is_told_what_is_wanted(answer, message):
    verdict = checks.check("which-question", answer)
    assert not verdict.passed
    assert message in verdict.message


@pytest.mark.parametrize("form", ["{}", "{})", "({})", " {}. ", "**{}**", "_{}_"])
def test_a_letter_is_read_in_whatever_form_it_comes(form):
    for quiz in ALL[:5]:
        for letter in quiz.options:
            verdict = checks.check(quiz.name, form.format(letter.upper()))
            assert (verdict.passed, verdict.message) == (
                letter == quiz.right, quiz.options[letter].reply,
            )  # fmt: skip


def test_a_letter_is_no_answer_to_an_exercise():
    verdict = checks.check("lower-bound", "a")
    assert not verdict
    assert verdict.message == "the answer is a str; wanted a function"


def test_an_unknown_name_lists_both_kinds():
    with pytest.raises(ValueError, match=r"wanted one of .*lower-bound.*, which-question"):
        checks.check("which-questions", "a")


# ------------------------------------------------------------------ in the notebooks


def asked(folder: str, chapter: str) -> list[tuple]:
    """Return (text before, call) of the cells tagged `quiz` in a notebook."""
    (path,) = (ROOT / "notebooks" / folder).glob(f"{chapter}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    found = []
    for before, cell in itertools.pairwise(cells):
        if "quiz" in cell.metadata.get("tags", []):
            found.append((before.source, cell.source.splitlines()[-1]))
    return found


@pytest.mark.parametrize("chapter", WRITTEN)
def test_a_chapter_asks_its_quizzes_and_leaves_the_answer_open(chapter):
    wanted = [(QUIZZES[n].markdown(), f'check("{n}", ...)') for n in checks.quizzes(chapter)]
    assert asked("", chapter) == wanted


@pytest.mark.parametrize("chapter", WRITTEN)
def test_the_solutions_answer_them(chapter):
    quizzes = [QUIZZES[n] for n in checks.quizzes(chapter)]
    wanted = [(q.markdown(), f'check("{q.name}", "{q.right}")') for q in quizzes]
    assert asked("solutions", chapter) == wanted
