"""The exercises' checks: solutions pass, empty cells and known mistakes are told apart."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from scipy.special import entr, logsumexp, softmax
from scipy.stats import binom

from lfm import checks
from lfm.checks import exercise, marking

ROOT = Path(__file__).parent.parent
EXERCISES = exercise.registered()
CHAPTERS = sorted({e.chapter for e in EXERCISES.values()})

every_exercise = pytest.mark.parametrize("name", EXERCISES)


def cells(folder, chapter):
    (path,) = (ROOT / "notebooks" / folder).glob(f"{chapter}_*.ipynb")
    return nbformat.read(path, as_version=4).cells


def answers(folder: str, tag: str) -> dict:
    """Return {exercise name: function} from the cells of the notebooks with this tag."""
    found = {}
    for chapter in CHAPTERS:
        scope = {"np": np, "check": lambda name, answer: found.__setitem__(name, answer)}
        for cell in cells(folder, chapter):
            if tag in cell.metadata.get("tags", []):
                source = cell.source.replace("from lfm.checks import check\n", "")
                exec(compile(source, cell.id, "exec"), scope)
    return found


SOLUTIONS = answers("solutions", "solution")
EMPTY = answers("", "exercise")


def test_every_exercise_stands_in_its_chapter_and_in_the_solutions():
    assert list(EMPTY) == list(SOLUTIONS) == checks.exercises()
    for chapter in CHAPTERS:
        assert 3 <= len(checks.exercises(chapter)) <= 5


def sentence(message: str) -> str:
    """Return a message as a sentence; one that begins with a symbol keeps it as it is."""
    word = re.match(r"[a-z]{2}|a ", message)
    begun = message[0].upper() + message[1:] if word else message
    return begun if begun.endswith(("?", "!")) else f"{begun.removesuffix('.')}."


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_solutions_list_the_known_mistakes_in_the_words_of_their_messages(chapter):
    told = "**Mistakes that are known.** "
    lists = [c.source.split(told)[1] for c in cells("solutions", chapter) if told in c.source]
    for name, listed in zip(checks.exercises(chapter), lists, strict=True):
        known = [sentence(m.message) for m in EXERCISES[name].mistakes]
        assert listed.split("\n")[0] == " ".join(f"({i}) {m}" for i, m in enumerate(known, 1))


@every_exercise
def test_the_solution_passes(name):
    verdict = checks.check(name, SOLUTIONS[name])
    assert verdict.passed, verdict
    assert verdict
    assert repr(verdict).startswith("Passed: ")


@every_exercise
def test_the_empty_cell_fails_and_says_so(name):
    verdict = checks.check(name, EMPTY[name])
    assert not verdict
    assert "returns nothing yet" in verdict.message


@pytest.mark.parametrize(
    ("name", "mistake"),
    [(e.name, m) for e in EXERCISES.values() for m in e.mistakes],
    ids=lambda value: value if isinstance(value, str) else value.message[:40],
)
def test_each_known_mistake_gets_its_own_message(name, mistake):
    assert checks.check(name, mistake.function).message == mistake.message


def log_marginal_from(by):
    """Return ln p(x) as it is found where `by(t)` (N, 1) is taken out before exp."""
    return lambda t: (by(t) + np.log(np.exp(t - by(t)).sum(axis=1, keepdims=True)))[:, 0]


def loop_of_coins(entropy):
    """Return the loop, written out, with so many times the entropy of q in L."""

    def loop(heads, flips, pi, rho):
        rows = []
        for _ in range(20):
            log_joint = np.log(pi) + binom.logpmf(heads[:, None], flips, rho)
            r = softmax(log_joint, axis=1)
            energy = (r[r > 0] * log_joint[r > 0]).sum()
            rows.append([*pi, *rho, energy + entropy * entr(r).sum()])
            pi, rho = r.mean(axis=0), heads @ r / (flips * r.sum(axis=0))
        return rows

    return loop


def divided_by_log(x, mean, log_var):
    gap = x - mean
    return -sum(np.log(2 * np.pi) + log_var + gap * gap / log_var) / 2


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("log-marginal", log_marginal_from(lambda t: t.min(1)[:, None]), "the row's minimum or"),
        ("log-marginal", log_marginal_from(lambda t: t.mean(1)[:, None]), "the row's minimum or"),
        ("posterior", lambda t: (p := np.exp(t - t.max())) / p.sum(1)[:, None], "one maximum from"),
        ("choose-q", lambda q, s: np.argmax(q @ s - entr(q).sum(1)), "entropy has the wrong sign"),
        ("loop-of-coins", loop_of_coins(0), "the entropy of q is missing from L"),
        ("loop-of-coins", loop_of_coins(-1), "the entropy is subtracted"),
        ("gaussian-log-likelihood", divided_by_log, "divide by σ² = e^(ln σ²), not by its log"),
    ],
)
def test_a_known_mistake_is_told_however_it_is_written(name, answer, said):
    assert said in checks.check(name, answer).message


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("log-marginal", lambda t: logsumexp(t, axis=1, keepdims=True).squeeze()),
        ("posterior", lambda t: softmax(t, axis=1).squeeze()),
    ],
)
def test_a_table_of_one_row_is_among_the_draws(name, answer):
    assert "the result has shape" in checks.check(name, answer).message


@every_exercise
def test_messages_of_one_exercise_differ_and_three_mistakes_are_known(name):
    messages = [m.message for m in EXERCISES[name].mistakes]
    assert len(set(messages)) == len(messages) >= 3


@every_exercise
def test_an_unknown_mistake_gets_a_hint_but_not_the_answer(name):
    known = EXERCISES[name]
    verdict = checks.check(name, lambda *a: 1.7 * np.asarray(known.right(*a)) + 0.3)
    assert not verdict
    assert known.hint in verdict.message
    for inputs in marking.draws(known):
        wanted = np.ravel(known.right(*inputs))
        # Digits alone: "-0.0123" must not appear as "0.012". 0 and 1 may stand in any sentence.
        shown = {f"{abs(v):.{n}g}" for v in wanted for n in (2, 3, 6)} - {"0", "1"}
        assert shown, name
        numbers = set(re.findall(r"\d+\.?\d*(?:e-?\d+)?", verdict.message.replace(known.hint, "")))
        assert not shown & numbers


@every_exercise
def test_the_arguments_of_cell_and_solution_are_called_the_same(name):
    empty, solution = (list(inspect.signature(a[name]).parameters) for a in (EMPTY, SOLUTIONS))
    assert empty == solution


@every_exercise
def test_every_mistake_shows_on_several_draws(name):
    draws = marking.draws(EXERCISES[name])
    right = [EXERCISES[name].right(*inputs) for inputs in draws]
    for mistake in EXERCISES[name].mistakes:
        with np.errstate(all="ignore"):
            wrong = [mistake.function(*inputs) for inputs in draws]
        shows = [marking.flaw([w], [r]) is not None for w, r in zip(wrong, right, strict=True)]
        assert sum(shows) >= 2, mistake.message


@pytest.mark.parametrize("folder", ["", "solutions"])
def test_no_marker_of_the_notebooks_source_is_left_in_the_text(folder):
    for chapter in CHAPTERS:
        for cell in cells(folder, chapter):
            if cell.cell_type == "markdown":
                assert not re.search(r"^# %+ ", cell.source, flags=re.M), cell.id


def test_an_unknown_name_is_an_error_that_lists_the_names():
    with pytest.raises(ValueError, match=r"name is 'nonsense'; wanted one of .*lower-bound"):
        checks.check("nonsense", None)


def test_the_checks_of_exercises_do_not_wait_for_torch():
    code = "import sys, lfm.checks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
