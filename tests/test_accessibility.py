"""Figures can be read by those who do not see all colours, by old eyes, and by screen readers."""

import itertools
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest

from lfm import figures

# Simulation of the three dichromacies in linear RGB: Machado, Oliveira and Fernandes 2009.
SEEN_BY = {
    "all colours": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
CONCEPTS = {
    name: getattr(figures, name) for name in ("DATA", "Q", "THETA", "BOUND", "GAP", "TRUTH")
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color) -> np.ndarray:
    rgb = np.array(mpl.colors.to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb) -> np.ndarray:
    """CIELAB of linear RGB, under daylight (D65)."""
    ratio = TO_XYZ @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(a, b, matrix) -> float:
    """How different two colours look to eyes with this matrix; about 2 is just visible."""
    return float(np.linalg.norm(lab(matrix @ linear(a)) - lab(matrix @ linear(b))))


def test_the_simulation_is_right():
    """Greys stay grey to everybody; red and green of one lightness are one colour to some."""
    for matrix in SEEN_BY.values():
        np.testing.assert_allclose(np.array(matrix) @ linear("0.5"), linear("0.5"), atol=1e-5)
    red, green = "#cc3311", "#717100"
    assert distance(red, green, SEEN_BY["all colours"]) > 45
    assert distance(red, green, np.array(SEEN_BY["deuteranopia"])) < 15


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_concepts_look_different_to_everybody(eyes):
    matrix = np.array(SEEN_BY[eyes])
    for (one, a), (other, b) in itertools.combinations(CONCEPTS.items(), 2):
        assert distance(a, b, matrix) > 9, f"{one} and {other}"


@pytest.mark.parametrize("name", CONCEPTS)
def test_concepts_stand_out_from_white(name):
    luminance = TO_XYZ[1] @ linear(CONCEPTS[name])
    assert 1.05 / (luminance + 0.05) >= 3  # WCAG 2.2, 1.4.11: graphical objects


T = np.linspace(1, 10, 20)
STEPS = np.arange(1, 6)


class Trace:
    bound, validation = list(T), list(T - 1)
    explained, divergence = list(T), list(T / 2)


def many_lines(ax):
    names = ("pixels", "pixels, ridge", "PCA", "factor analysis", "VAE")
    figures.accuracies(ax, [10, 20, 50], {n: np.ones((3, 4)) * i for i, n in enumerate(names)})


DRAWINGS = {
    "training_curves": lambda ax: figures.training_curves(ax, Trace),
    "two_terms": lambda ax: figures.two_terms(ax, Trace),
    "touching_bound": lambda ax: figures.touching_bound(ax, T, T, T - 1, 2.0, 5.0),
    "noisy_ascent": lambda ax: figures.noisy_ascent(ax, np.arange(100.0), 90.0, name="limit"),
    "accuracies": many_lines,
    "variances": lambda ax: figures.variances(
        ax, T, {"path": T, "score": 2 * T, "score with baseline": 3 * T}, label="K"
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_curves_of_one_panel_differ_in_style_or_in_a_colour_that_all_can_see(name):
    fig, ax = figures.new()
    DRAWINGS[name](ax)
    containers = [c.lines[0] for c in ax.containers if hasattr(c, "lines")]
    lines = [c for c in (*ax.lines, *containers) if len(c.get_xdata()) > 1]
    assert len(lines) >= 2
    for a, b in itertools.combinations(lines, 2):
        look = [(c.get_linestyle(), c.get_marker(), c.get_linewidth()) for c in (a, b)]
        colors = a.get_color(), b.get_color()
        apart = min(distance(*colors, np.array(m)) for m in SEEN_BY.values())
        assert look[0] != look[1] or apart > 20 or a.get_label() == b.get_label()
    figures.plt.close(fig)


def test_hatches_tell_bars_apart_without_colour():
    fig, ax = figures.new()
    table = {name: np.ones((3, 2)) * i / 5 for i, name in enumerate("abcde")}
    figures.scores(ax, table, ("x", "y"))
    looks = {
        (bars[0].get_hatch(), round(lab(linear(bars[0].get_facecolor()[:3]))[0] / 10))
        for bars in ax.containers
    }
    assert len(looks) == 5  # by hatch and lightness alone
    figures.plt.close(fig)


def test_no_text_is_small():
    """Points at the size at which a figure is shown, in a notebook and on a slide."""
    sources = [Path(figures.__file__).read_text(encoding="utf-8")]
    folder = Path(__file__).parent.parent / "notebooks"
    sources += [path.read_text(encoding="utf-8") for path in folder.glob("[0-9]*.ipynb")]
    sizes = [float(n) for text in sources for n in re.findall(r"fontsize=([\d.]+)", text)]
    assert min(sizes) >= 9
    assert figures.STYLE["font.size"] >= 11


# ------------------------------------------------------------------ what screen readers say


def test_a_description_tells_what_is_plotted():
    fig, (left, right) = figures.new(1, 2)
    left.plot([1, 2, 3], [0.5, 7, 2.25], label="$L_S$")
    left.set(xlabel=r"samples $S$", title="bound")
    right.bar(["a", "b"], [3, 1.5], label="height")
    right.scatter([1, 2, 3], [1, 2, 3])
    text = figures.describe(fig)
    assert text.startswith("Panel 1: bound. x is samples S, ")
    assert "L_S goes from 0.5 to 2.25." in text
    assert "Panel 2: height: 3, 1.5. 3 points." in text
    figures.plt.close(fig)


def test_bars_tell_where_they_end_and_bars_on_others_how_long_they_are():
    fig, ax = figures.new()
    ax.bar([0, 1], [1.5, 5], bottom=-8, label="bound")  # on a common foot, which is arbitrary
    ax.bar([0, 1], [4, 0.5], bottom=[-6.5, -3], label=r"KL$(q\,\|\;$posterior$)$")
    assert figures.describe(fig) == "bound: -6.5, -3. KL(q|posterior): 4, 0.5."
    figures.plt.close(fig)


def test_bars_that_lie_down_and_images_are_told_too():
    fig, (left, right) = figures.new(1, 2)
    left.barh(["a", "b"], [0.25, 4])
    right.imshow(np.ones((8, 5)))
    assert figures.describe(fig) == "Panel 1: bars: 0.25, 4. Panel 2: an image of 8 by 5 pixels."
    figures.plt.close(fig)


def test_a_picture_carries_both_texts_and_compares_only_its_claim():
    fig, ax = figures.new()
    ax.plot([0, 1], [2, 3], label="curve")
    picture = figures.show(fig, alt="A curve that rises by one, as it should.")
    data, metadata = picture._repr_mimebundle_()
    assert data["text/plain"] == "Figure: A curve that rises by one, as it should"
    alt = metadata["image/png"]["alt"]
    assert alt == "A curve that rises by one, as it should. curve goes from 2 to 3."


def test_in_jupyterlab_the_words_are_shown_below_the_picture(monkeypatch):
    shown = []
    fake = SimpleNamespace(display=SimpleNamespace(display=lambda data, **_: shown.append(data)))
    monkeypatch.setitem(sys.modules, "IPython", fake)
    fig, ax = figures.new()
    ax.plot([0, 1], [2, 3], label="a < b")
    figures.show(fig, alt="A curve that rises by one")._ipython_display_()
    picture, words = shown
    assert "image/png" in picture
    assert words["text/html"].startswith('<details class="in-words"><summary>')
    assert "A curve that rises by one. " in words["text/html"]
    assert "a &lt; b goes from 2 to 3." in words["text/html"]
