"""Figures: each draws the same numbers in every form, and leaves them as they are."""

import io

import numpy as np
import pytest
from matplotlib import pyplot as plt
from test_bad_input import EYE, FORMS, MIXTURE, SWITCHES, X, copied, unchanged

from lfm import em, figures, training
from lfm.factor_analysis import FactorAnalysis

STEPS = [s for s, _ in zip(em.steps(MIXTURE, X), range(6), strict=False)]
TRACE = training.Trace([-3.0, -2.0], [-2.0, -1.0], [1.0, 1.0], [-3.5, -2.5], [0.1, 0.1])
GRID = np.linspace(-1.0, 1.0, 12)
# Functions of `figures` take what notebooks computed; each draws whatever numbers these are.
FIGURES = {
    "images": {"x": np.abs(X).reshape(3, 2, 4), "columns": 2},
    "labelled_points": {"x": X, "labels": np.arange(12) % 2},
    "heat": {"values": np.abs(X)},
    "bars": {"values": X[:, 0].copy()},
    "curve": {"x": GRID, "y": X[:, 0].copy()},
    "jensen": {"ratios": 1 + np.abs(X[:, 0]), "q": np.full(12, 1 / 12)},
    "decomposition": {"bound": X[:3, 0] - 9, "divergence": np.abs(X[:3, 1]), "names": list("abc")},
    "simplex": {"height": lambda q: q[:, 0] + q[:, 1] ** 2, "names": "abc", "best": np.eye(3)[0]},
    "touches": {"theta": GRID, "log_lik": -(GRID**2), "bound": -2 * GRID**2, "old": 0.0},
    "touching_bound": {
        "theta": GRID, "log_lik": -(GRID**2), "bound": -2 * GRID**2, "old": 0.0, "new": 0.5
    },
    "staircase": {"steps": STEPS},
    "plate_diagram": {"prior": False},
    "histogram": {"x": X[:, 0].copy()},
    "ellipse": {"mean": np.zeros(2), "cov": EYE},
    "mixture": {"x": X, "model": MIXTURE, "probs": np.full((12, 2), 0.5)},
    "means_as_images": {"means": np.abs(X).reshape(2, 12), "shape": (3, 4), "columns": 2},
    "correlations": {"values": EYE, "names": ["a", "b"]},
    "estimate": {"truth": GRID, "mean": X[:, 0].copy(), "std": 0.1},
    "grouped_bars": {"groups": {"a": X[0], "b": X[1]}, "names": ["u", "v"]},
    "accuracies": {"n_labels": np.array([1, 10]), "table": {"a": X[:2], "b": X[2:4]}},
    "shrunken_projection": {
        "x": X[:, :2].copy(),
        "model": FactorAnalysis(np.ones((2, 1)), np.zeros(2), np.ones(2)),
        "shown": [0, 3],
    },
    "kept_by_a_step": {},
    "below_the_top": {"paths": {"a": np.log(1 + GRID - GRID[0]), "b": GRID - GRID[0]}},
    "arrows": {"loadings": X[:3], "names": list("abc")},
    "contours": {"a": GRID, "b": GRID, "density": np.exp(-np.add.outer(GRID**2, GRID**2))},
    "hills_and_valley": {
        "grid": GRID,
        "height": -np.add.outer(GRID**2, GRID**2),
        "paths": [[(0, 0), (1, 1)]],
    },
    "seeking": {"grid": GRID, "p": GRID**2, "ends": [(1.0, GRID), (2.0, GRID)], "spread": 1 + GRID},
    "mixture_diagram": {"priors": True},
    "gap": {"steps": STEPS, "log_lik": np.zeros(6)},
    "joint_table": {"table": np.full((2, 2), 0.25)},
    "gaps": {"at": 1 + GRID**2, "table": {"a": 1 + GRID**2}, "label": "noise"},
    "learned": {"fits": {"truth": SWITCHES, "fit": SWITCHES}},
    "hills": {"m": GRID, "bounds": -1 - GRID**2, "found": 2, "log_p": 0.0},
    "starts": {"bounds": X[:, 0].copy(), "scores": X[:, 1].copy(), "score": "accuracy"},
    "variances": {"at": 1 + GRID**2, "table": {"path": 1 + GRID**2}, "label": "K"},
    "noisy_ascent": {"estimates": np.sin(np.arange(80.0)), "limit": 0.0, "name": "best"},
    "vae_diagram": {},
    "moved": {"before": X, "after": X + 1},
    "training_curves": {"trace": TRACE},
    "two_terms": {"trace": TRACE},
    "scores": {"table": {"a": np.abs(X[:3]), "b": np.abs(X[3:6])}, "names": ["u", "v"]},
    "ladder": {"rungs": {"a": 1.0, "b": 0.0}},
    "two_gaps": {"parts": {"a": (1.0, 2.0), "b": (0.0, 0.0)}},
    "seconds": {"times": {"a": 1.0, "b": 0.0}},
}  # fmt: skip


SQUARES = np.abs(np.tile(X, 2))  # twelve images of 2 x 2
# And those that draw into several axes.
SHEETS = {
    "walks": lambda x: {"models": {"a": (x, lambda z: z**2, None), "b": (x, np.abs, [0, 1, 3])}},
    "sheets": lambda x: {"rows": {"a": x[:3], "b": x[3:6]}, "limits": (0, 2)},
    "maps": lambda x: {"points": {"a": x[:, :2], "b": x[:, 1:3]}, "labels": np.arange(12) % 2},
    "two_ways": lambda x: {
        "grid": GRID,
        "f": np.sin,
        "before": np.exp(-(GRID**2)),
        "after": np.exp(-((GRID - 1) ** 2)),
        "z": x[:4, 0],
        "move": 1.0,
    },
}


DRAWN = ("float32", "Fortran", "reversed", "strided", "read-only")


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_the_same_numbers_in_every_form_and_leave_them_as_they_are(name):
    good = FIGURES[name]
    arrays = [k for k, v in good.items() if isinstance(v, np.ndarray)]
    spoiled = [(k, kind) for k in arrays for kind in DRAWN]
    for argument, kind in [(None, "as it is"), *spoiled[:: 2 if name == "simplex" else 1]]:
        options = dict(good)
        if argument is not None:
            options[argument] = FORMS[kind](np.array(good[argument]))
        before = {k: copied(v) for k, v in options.items()}
        with plt.rc_context():
            getattr(figures, name)(
                plt.figure().add_subplot(), **options
            ).figure.draw_without_rendering()
        plt.close("all")
        assert all(unchanged(before[k], options[k]) for k in options), f"{argument} = {kind}"


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("name", SHEETS)
def test_sheets_draw_the_same_numbers_in_every_form_and_leave_them_as_they_are(name, kind):
    x = FORMS[kind](SQUARES.copy())
    before = copied(x)
    fig, axes = plt.subplots(1, 2)
    getattr(figures, name)(axes, **SHEETS[name](x))
    fig.draw_without_rendering()
    titles = ["weigh: samples stay", "move: samples go along"] if name == "two_ways" else ["a", "b"]
    assert [ax.get_title() or ax.get_title(loc="left") for ax in axes] == titles
    assert all(ax.images or ax.collections for ax in axes)
    assert unchanged(before, x)
    plt.close("all")


def test_walks_show_the_codes_that_change_most_and_leave_axes_without_a_model_empty():
    codes = np.random.default_rng(0).normal(size=(50, 5)) * [1, 5, 2, 0.1, 3]
    pixels = np.eye(5)[:, :4] + np.eye(5)[:, [4, 0, 1, 2]]  # of each code two
    _, axes = plt.subplots(2, 2)
    figures.walks(axes, {"a": (codes, lambda z: z @ pixels, None)})
    names = {text.get_text() for text in axes[0, 0].texts}
    assert names == {"$c_{2}$", "$c_{3}$", "$c_{5}$"}
    assert not any(ax.axison for ax in axes.flat[1:])
    plt.close("all")


@pytest.mark.parametrize("alt", ["plot", "", None, 3])
def test_a_picture_wants_words_for_who_does_not_see_it(alt):
    with pytest.raises((ValueError, TypeError), match=f"alt is {alt!r}"):
        figures.show(figures.new()[0], alt=alt)
    plt.close("all")


@pytest.mark.parametrize("name", ["Two bells", "two_bells", "-two", "two--bells", None, 3])
def test_a_picture_has_a_name_of_words_joined_by_hyphens(name):
    fig = figures.new()[0]
    with pytest.raises(ValueError, match=r"wanted lower-case words joined by -"):
        figures.show(fig, name=name, alt="A frame without anything in it")
    assert figures.show(fig, name="two-bells-2", alt="A frame without anything in it").png


def test_a_picture_knows_its_size_on_a_page_and_where_its_panels_lie():
    fig, axes = figures.new(1, 2, width=8, height=3)
    axes[0].set(xlabel="left", ylabel="height")
    shown = figures.show(fig, alt="Two frames without anything in them")
    metadata = shown._repr_mimebundle_()[1]["image/png"]
    assert metadata["width"] == 880
    (left, _, width, _), (right, top, _, height) = metadata["panels"]
    pixels = plt.imread(io.BytesIO(shown.png))[..., :3].min(2) < 0.9
    dark = np.flatnonzero(pixels.any(0)) / pixels.shape[1]
    assert pixels.shape[1] == 1320
    assert left == pytest.approx(dark[0], abs=0.005)  # the label belongs to its panel
    assert left + width < right
    assert not ((left + width + 0.003 < dark) & (dark < right - 0.003)).any()  # nothing between
    assert 0 <= top < top + height <= 1
    one = figures.show(figures.new()[0], alt="A frame without anything in it")
    assert one.panels == ()
