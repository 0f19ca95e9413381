"""Every figure of the course. A function takes axes and what to draw, and returns the axes.

One colour and one line style for each concept, the same in all chapters, and distinguishable by
readers who do not see all colours (Okabe and Ito 2008). A notebook ends a figure with
`show(fig, name=..., alt=...)`: slides call it by its name, the text says what a reader who cannot
see the figure should know, and `describe` adds what is plotted, in numbers.
"""

import base64
import html
import io
import itertools
import re
import sys
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, Rectangle
from matplotlib.transforms import Bbox

Array = np.ndarray

DATA = "#7f7f7f"  # grey
Q = "#0072b2"  # blue: q, inference
THETA = "#d55e00"  # orange: θ, learning
BOUND = "#009e73"  # green: the lower bound
TRUTH = "black"  # and dashed
GAP = "#cc79a7"  # pink, hatched: a divergence
COMPONENTS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

SHARPNESS = 1.5  # screens, and slides that enlarge a panel, show more dots than a page needs
STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


@dataclass(frozen=True, repr=False, eq=False)
class Picture:
    """A finished figure: its PNG for the eye and its words for everybody else."""

    png: bytes
    alt: str  # what it says
    details: str = ""  # what is plotted
    width: int | None = None  # on a page, in pixels; the PNG has `SHARPNESS` times as many
    panels: tuple = ()  # left, top, width, height of each with its labels, as shares of the PNG

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _ipython_display_(self) -> None:
        """Show the picture and, folded below it, its words: JupyterLab shows no alt texts."""
        display = sys.modules["IPython"].display.display  # nobody but IPython calls this
        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)
        display({"text/html": self._folded(), "text/plain": "(in words)"}, raw=True)

    def _folded(self) -> str:
        alt, details = html.escape(self.alt), html.escape(self.details)
        return (
            '<details class="in-words"><summary>This figure in words</summary>'
            f'{alt}. <span class="plotted">{details}</span></details>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"text/plain": repr(self), "image/png": base64.b64encode(self.png).decode()}
        told = {"alt": f"{self.alt}. {self.details}".rstrip()}
        told |= {"width": self.width} if self.width else {}
        return data, {"image/png": told | ({"panels": self.panels} if self.panels else {})}


def new(rows: int = 1, columns: int = 1, *, width: float = 7.5, height: float = 3.2, **kwargs):
    """Return (figure, axes) as `plt.subplots` does, in the style of the course."""
    plt.rcParams.update(STYLE)
    return plt.subplots(rows, columns, figsize=(width, height), **kwargs)


def show(fig: Figure, *, alt: str, name: str = "") -> Picture:
    """Return the figure as a `Picture`, the last expression of a cell; closes the figure.

    A slide shows it by its `name`, such as "two-bells", which is unique in its chapter.
    """
    if not isinstance(name, str) or not re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", name):
        raise ValueError(f"name is {name!r}; wanted lower-case words joined by -, as two-bells")
    if not isinstance(alt, str) or len(alt.split()) < 5:
        raise ValueError(f"alt is {alt!r}; wanted a sentence that says what the figure shows")
    details, panels, width = describe(fig), _panels(fig), round(fig.bbox.width)
    return Picture(png(fig, SHARPNESS * fig.dpi), alt.rstrip("."), details, width, panels)


def _panels(fig: Figure) -> tuple:
    """Return where each of several panels lies, with all that belongs to it."""
    for _ in range(2):  # axes find their places while they are drawn; those of equal units twice
        fig.draw_without_rendering()
    boxes = [ax.get_tightbbox().transformed(fig.transFigure.inverted()) for ax in fig.axes]
    whole = Bbox.unit()
    boxes = [box for b in boxes if (box := Bbox.intersection(b, whole)) and len(boxes) > 1]
    places = ((b.x0, 1 - b.y1, b.width, b.height) for b in boxes)
    return tuple(tuple(round(float(share), 4) for share in place) for place in places)


def png(fig: Figure, dpi: float | str = "figure") -> bytes:
    """Return the figure as a PNG of `dpi` dots an inch, or of its own resolution; closes it."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(fig)
    return buffer.getvalue()


def describe(fig: Figure) -> str:
    """Return what is plotted, panel by panel, in words and rounded numbers, for screen readers."""
    panels = [words for ax in fig.axes if (words := _in_words(ax))]
    if len(panels) > 1:
        panels = [f"Panel {i}: {words}" for i, words in enumerate(panels, 1)]
    return " ".join(panels)


def _in_words(ax: Axes) -> str:
    """Return title, axes, curves, bars, points and images of one panel, a sentence each."""
    parts = [_spoken(ax.get_title() or ax.get_title("left"))]
    for axis, name in ((ax.xaxis, "x"), (ax.yaxis, "y")):
        if label := _spoken(axis.get_label_text()):
            low, high = axis.get_view_interval()
            parts.append(f"{name} is {label}, {low:.3g} to {high:.3g}")
    for line in ax.lines:
        y, label = np.asarray(line.get_ydata(), dtype=float), line.get_label()
        if label and not label.startswith("_") and len(y) > 1 and np.isfinite(y).all():
            parts.append(f"{_spoken(label)} goes from {y[0]:.3g} to {y[-1]:.3g}")
    for bars in ax.containers:
        if sides := [(p.get_bbox().p0, p.get_bbox().p1) for p in bars if isinstance(p, Rectangle)]:
            shown = ", ".join(f"{v:.3g}" for v in _bar_values(np.array(sides))[:12])
            label = bars.get_label()
            parts.append(f"{'bars' if label.startswith('_') else _spoken(label)}: {shown}")
    for points in ax.collections:
        if isinstance(points, PathCollection) and len(points.get_offsets()) > 1:
            parts.append(f"{len(points.get_offsets())} points")
    parts += ["an image of {} by {} pixels".format(*i.get_array().shape[:2]) for i in ax.images]
    return " ".join(f"{p}." for p in parts if p)


def _bar_values(corners: Array) -> Array:
    """Return what bars tell, of their corners (bars, 2, 2): where they end, if all have one foot.

    Bars that stand on others, each with a foot of its own, tell their lengths.
    """
    sizes = corners[:, 1] - corners[:, 0]
    along = 1 if len(set(np.round(sizes[:, 0], 9))) == 1 else 0  # lying bars differ in width
    feet = corners[:, 0, along]
    return corners[:, 1, along] if np.ptp(feet) < 1e-9 else sizes[:, along]


def _spoken(text: str) -> str:
    """Return a label without the signs that only TeX needs."""
    return re.sub(r"\\[,;!]|[$\\{}]", "", text.replace(r"\|", "|")).strip()


# ------------------------------------------------------------------ any chapter


def images(
    ax: Axes, x: Array, *, columns: int, vmin=0, vmax=255, gap: int = 2, framed: bool = False
) -> Axes:
    """Draw images x (N, H, W) as one contact sheet, row by row, each in a thin frame if wanted."""
    n, h, w = x.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap), float(vmax))
    for i, image in enumerate(x):
        r, c = divmod(i, columns)
        top, left = r * (h + gap), c * (w + gap)
        sheet[top : top + h, left : left + w] = image
        if framed:
            frame = Rectangle((left - 0.5, top - 0.5), w, h, fc="none", ec=DATA, lw=0.8)
            ax.add_patch(frame).set_clip_on(False)
    ax.imshow(sheet, cmap="gray", vmin=vmin, vmax=vmax, interpolation="nearest")
    ax.set_axis_off()
    return ax


def labelled_points(ax: Axes, x: Array, labels: Array, *, size: float = 12) -> Axes:
    """Draw points x (N, 2), one colour for each label, the labels written at their medians."""
    names = np.unique(labels)
    for i, name in enumerate(names):
        color = plt.get_cmap("tab10")(i % 10)
        ax.scatter(*x[labels == name].T, s=size, color=color, alpha=0.5, linewidths=0)
    for name in names:
        ax.text(
            *np.median(x[labels == name], axis=0),
            str(name),
            ha="center",
            va="center",
            fontsize=13,
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8},
        )
    return ax


def heat(ax: Axes, values: Array, *, title: str = "") -> Axes:
    """Draw one number for each pixel, dark where it is large."""
    ax.imshow(values, cmap="Blues", vmin=0)
    ax.set_title(title)
    ax.set_axis_off()
    return ax


def bars(ax: Axes, values: Array, *, color=Q, label=None, ticks=None, **kwargs) -> Axes:
    """Draw one bar for each value of z."""
    ax.bar(np.arange(len(values)), values, color=color, label=label, **kwargs)
    ax.set_xticks(np.arange(len(values)), ticks)
    return ax


def curve(ax: Axes, x: Array, y: Array, *, color="black", style="-", label=None) -> Axes:
    """Draw a curve, with its name in the legend."""
    ax.plot(x, y, style, color=color, label=label)
    return ax


def row_names(ax: Axes, names, *, height: int = 32, gap: int = 2) -> Axes:
    """Write a name to the left of each row of the contact sheet that `images` drew."""
    for row, name in enumerate(names):
        y = row * (height + gap) + height / 2
        ax.text(-3, y, name, ha="right", va="center")
    return ax


def plate_diagram(ax: Axes, *, prior: bool = True) -> Axes:
    """Draw the story of N data: θ outside the plate, an open z_n and a shaded x_n within.

    Without `prior` nothing of θ is in p(z): no arrow leads from it to z_n.
    """
    z, x, theta, radius = (2.2, 1.0), (4.2, 1.0), (3.2, 2.45), 0.36
    for at, name, face in ((z, "$z_n$", "white"), (x, "$x_n$", "#c8c8c8")):
        ax.add_patch(Circle(at, radius, fc=face, ec="black", lw=1.8))
        ax.text(*at, name, ha="center", va="center", fontsize=16)
    ax.plot(*theta, "o", color=THETA, ms=9)
    ax.text(theta[0] + 0.2, theta[1], r"$\theta$", va="center", fontsize=16)
    arrows = [(z, x, radius), (theta, x, 0.1), (theta, z, 0.1)]
    for start, end, near in arrows if prior else arrows[:2]:
        step = np.subtract(end, start) / np.hypot(*np.subtract(end, start))
        arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", end - 1.1 * radius * step, start + near * step, arrowprops=arrow)
    ax.add_patch(Rectangle((1.4, 0.25), 3.6, 1.5, fill=False, lw=1.8))
    ax.text(4.85, 0.33, "$N$", ha="right", va="bottom", fontsize=14)
    ax.text(1.25, 1.0, "factors,\nnot observed", ha="right", va="center")
    ax.text(5.15, 1.0, "data,\nobserved", ha="left", va="center")
    ax.text(theta[0] - 0.2, theta[1], "parameters", ha="right", va="center")
    ax.set(xlim=(-0.4, 6.4), ylim=(0.1, 2.8), aspect="equal", title="the story of $N$ data")
    ax.set_axis_off()
    return ax


# ------------------------------------------------------------------ 01 the lower bound


def jensen(ax: Axes, ratios: Array, q: Array) -> Axes:
    """Draw ln w below its tangent at the mean: the average drop at the points is the gap.

    Eq. tangent; averaged under q it is Eq. jensen.
    """
    w = np.linspace(ratios.min() / 2, ratios.max() * 1.1, 400)
    mean, mean_log = q @ ratios, q @ np.log(ratios)
    touching = np.log(mean) + (ratios - mean) / mean
    ax.plot(w, np.log(w), color="black", label=r"$\ln w$")
    ax.plot(
        w, np.log(mean) + (w - mean) / mean, color=DATA, ls="--", lw=1.5, label="tangent at $m$"
    )
    ax.vlines(ratios, np.log(ratios), touching, color=DATA, lw=3, alpha=0.5, label="drops")
    ax.scatter(ratios, np.log(ratios), s=22, color=Q, zorder=3, label="$w(z)$")
    ax.plot([mean, mean], [mean_log, np.log(mean)], color=GAP, lw=3, ls=":", label="gap")
    ax.scatter(
        mean, np.log(mean), s=70, marker="s", fc="none", ec="black", zorder=4,
        label=r"$\ln\,E_q[w]$",
    )  # fmt: skip
    ax.scatter(mean, mean_log, color=BOUND, marker="D", zorder=4, label=r"$E_q[\ln w]$, the bound")
    if len(q) <= 5:
        for z, (ratio, weight) in enumerate(zip(ratios, q, strict=True)):
            near = abs(ratio / mean - 1) < 0.6  # its name then stands above the tangent
            ax.annotate(
                f"$z={z}$, $q={weight:.2g}$", (ratio, np.log(ratio)), (2, 14) if near else (9, -16),
                fontsize=9, textcoords="offset points",
                ha="right" if near else "left" if ratio < mean else "center",
            )  # fmt: skip
    ax.set(xlabel="$w = p(x, z) / q(z)$; $m$ is its mean under $q$", ylabel="nats")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def decomposition(ax: Axes, bound: Array, divergence: Array, names) -> Axes:
    """Draw, for each q, how bound (green) and divergence (hatched) make up ln p(x) (line)."""
    total = bound + divergence
    bottom = bound.min() - 0.35 * np.ptp(np.append(bound, total))
    at = np.arange(len(bound))
    ax.bar(at, bound - bottom, 0.6, bottom=bottom, color=BOUND, label="bound $L$")
    ax.bar(
        at, divergence, 0.6, bottom=bound, color="white", edgecolor=GAP, hatch="///",
        label="KL$(q\\,\\|\\,$posterior$)$",
    )  # fmt: skip
    ax.axhline(total[0], color="black", label=r"$\ln p(x)$")
    ax.set_xticks(at, names)
    ax.set(ylabel="nats", ylim=(bottom, total[0] + 0.1 * (total[0] - bottom)))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])


def simplex(ax: Axes, height, *, names, best: Array, levels: int = 14) -> Axes:
    """Draw a function of q over the triangle of all distributions on three values."""
    a, b = np.meshgrid(np.linspace(0, 1, 241), np.linspace(0, 1, 241))
    q = np.stack([1 - a - b, a, b], axis=-1)[a + b <= 1 + 1e-12]  # (n, 3)
    q = np.maximum(q, 0.0)  # rounding leaves -1e-16 on the edge
    xy = q @ CORNERS
    filled = ax.tricontourf(*xy.T, height(q), levels=levels, cmap="Greens")
    ax.tricontour(
        *xy.T, height(q), levels=levels, colors="white", linewidths=0.5, linestyles="solid"
    )
    label = f"posterior,\n$L={height(best[None])[0]:.2f}$"
    ax.scatter(*(best @ CORNERS), color=Q, marker="*", s=200, ec="white", zorder=3, label=label)
    ax.legend(loc="upper left", handletextpad=0.1)
    for corner, name, dy in zip(CORNERS, names, (-0.06, -0.06, 0.04), strict=True):
        ax.text(corner[0], corner[1] + dy, name, ha="center", va="center")
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.figure.colorbar(filled, ax=ax, label="bound $L(q)$ / nats")
    return ax


def touches(
    ax: Axes, theta: Array, log_lik: Array, bound: Array, old: float, *, style="--"
) -> Axes:
    """Draw a bound over θ: a circle where it touches ln p(X|θ), a triangle at its top.

    A line leads from the top straight up to ln p(X|θ).
    """
    top, names = bound.argmax(), ("touches", "top of $L$")
    for artist in ax.collections:
        if artist.get_label() in names:  # the points stand last in the legend, and once
            artist.set_label("_again")
    ax.plot(theta, bound, style, color=BOUND, label=f"$L$, $q$: posterior at {old:g}")
    ax.vlines(theta[top], bound[top], log_lik[top], color=THETA, lw=2)
    points = (old, np.interp(old, theta, log_lik)), (theta[top], bound[top])
    for (x, y), color, marker, name in zip(points, (Q, THETA), "o^", names, strict=True):
        ax.scatter(x, y, color=color, marker=marker, s=60, zorder=3, label=name)
    return ax


# ------------------------------------------------------------------ 02 expectation maximization


def touching_bound(ax: Axes, theta: Array, log_lik: Array, bound: Array, old: float, new: float):
    """Draw ln p(X|θ), the bound that touches it at θ_old, and the climb to θ_new."""
    ax.plot(theta, log_lik, color="black", label=r"$\ln p(X|\theta)$")
    ax.plot(theta, bound, color=BOUND, ls="--", label=r"bound $L(q, \theta)$")
    at_old, at_new = np.interp(old, theta, log_lik), np.interp(new, theta, bound)
    ax.scatter(old, at_old, color=Q, zorder=3, s=60, label=r"inference: touch at $\theta_{old}$")
    ax.scatter(
        new,
        at_new,
        color=THETA,
        marker="^",
        zorder=3,
        s=70,
        label=r"learning: climb to $\theta_{new}$",
    )
    ax.plot([new, new], [at_new, np.interp(new, theta, log_lik)], color=GAP, lw=3, label="KL")
    ax.set(xlabel=r"$\theta$", ylabel=r"$\ln p$ and $L$ (nats)")
    ax.set_ylim(log_lik.min() - 0.3 * np.ptp(log_lik), log_lik.max() + 0.1 * np.ptp(log_lik))
    ax.legend(fontsize=9)
    return ax


def staircase(ax: Axes, steps) -> Axes:
    """Draw the bound after every half-step: inference blue circles, learning orange triangles."""
    bounds = np.array([s.bound for s in steps])
    at = np.arange(len(bounds)) / 2
    ax.plot(at, bounds, color=BOUND, drawstyle="steps-post", lw=1.5, label="bound $L$")
    for half, color, marker in (("inference", Q, "o"), ("learning", THETA, "^")):
        chosen = [s.half == half for s in steps]
        ax.scatter(at[chosen], bounds[chosen], color=color, marker=marker, zorder=3, label=half)
    ax.set(xlabel="iteration", ylabel="nats")
    ax.legend()
    return ax


def histogram(ax: Axes, x: Array, density=None, *, bins: int = 30, label="data") -> Axes:
    """Draw data x (N,) as a grey histogram of density; `density` (grid, values) as a curve."""
    ax.hist(x, bins=bins, density=True, color=DATA, alpha=0.4, label=label)
    if density is not None:
        ax.plot(*density, color=THETA, label=r"$p(x|\theta)$")
    ax.set(xlabel="$x$", ylabel="density")
    return ax


# ------------------------------------------------------------------ 03 Gaussian mixture


def ellipse(ax: Axes, mean: Array, cov: Array, *, color=THETA, radius: float = 2.0, **kwargs):
    """Draw the points at Mahalanobis distance `radius` from the mean."""
    var, axes = np.linalg.eigh(cov)
    width, height = 2 * radius * np.sqrt(np.maximum(var, 0))
    angle = np.degrees(np.arctan2(axes[1, 0], axes[0, 0]))
    style = {"fill": False, "lw": 2} | kwargs
    ax.add_patch(Ellipse(mean, width, height, angle=angle, color=color, **style))
    return ax


def mixture(ax: Axes, x: Array, model, probs: Array | None = None, *, labels=("$x_1$", "$x_2$")):
    """Draw data (N, 2), coloured by responsibility where given, and the components' ellipses."""
    colors = np.array([plt.matplotlib.colors.to_rgb(c) for c in COMPONENTS])
    face = DATA if probs is None else np.clip(probs @ colors[: probs.shape[1]], 0, 1)
    ax.scatter(*x.T, s=14, c=face, alpha=0.75, linewidths=0)
    for k, (mean, cov) in enumerate(zip(model.means, model.covs, strict=True)):
        color, marker = COMPONENTS[k % 7], MARKERS[k % 7]
        ellipse(ax, mean, cov, color=color)
        ax.plot(*mean, marker=marker, color=color, mec="white", ms=10)
    ax.set(xlabel=labels[0], ylabel=labels[1])
    return ax


def means_as_images(ax: Axes, means: Array, shape: tuple[int, int], *, columns: int) -> Axes:
    """Draw the means (K, D) of a mixture of images, dark ink on white."""
    return images(ax, 1 - means.reshape(-1, *shape), columns=columns, vmin=0, vmax=1, gap=1)


# ------------------------------------------------------------------ 04 factor analysis


def correlations(ax: Axes, values: Array, names) -> Axes:
    """Draw a matrix of correlations (D, D), blue positive, red negative, with their numbers."""
    ax.imshow(values, cmap="RdBu", vmin=-1, vmax=1)
    for (i, j), value in np.ndenumerate(values):
        color = "white" if abs(value) > 0.6 else "black"
        ax.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=9, color=color)
    ax.set_xticks(np.arange(len(names)), names, rotation=45, ha="right")
    ax.set_yticks(np.arange(len(names)), names)
    return ax


def estimate(ax: Axes, truth: Array, mean: Array, std: float, *, name: str = "z") -> Axes:
    """Draw the truth against posterior means, with the band of two posterior deviations."""
    ends, band = np.array([mean.min(), mean.max()]), "two posterior deviations"
    ax.fill_between(ends, ends - 2 * std, ends + 2 * std, color=Q, alpha=0.15, lw=0, label=band)
    ax.plot(ends, ends, color=TRUTH, ls="--", lw=1, label="truth = mean")
    ax.scatter(mean, truth, s=10, color=DATA, alpha=0.7, linewidths=0)
    ax.set(xlabel=f"$E[{name}|x]$", ylabel=f"true ${name}$")
    ax.legend()
    return ax


def shrunken_projection(ax: Axes, x: Array, model, shown: Array) -> Axes:
    """Draw data (N, 2), the line μ + W z of one factor, and where two ways put the `shown` data."""
    x = np.asarray(x, dtype=float)
    w, mu, psi = model.loadings[:, 0], model.mean, model.noise
    z = np.column_stack([(x - mu) @ (w / psi) / (w @ (w / psi)), model.infer(x).mean(x)])
    ax.scatter(*x.T, s=8, color=DATA, alpha=0.4, linewidths=0)
    ends = mu + np.outer([-2.7, 2.7], w)
    ax.plot(*ends.T, color=THETA, lw=1.5, label=r"$\mu + Wz$")
    for n in shown:
        ax.plot(*np.array([x[n], mu + w * z[n, 0]]).T, color=DATA, ls=":", lw=1.2)
    ax.scatter(*x[shown].T, s=26, color=DATA, edgecolors="black", label="data", zorder=3)
    for values, marker, color, name in (
        (z[shown, 0], "s", "white", "most likely point"),
        (z[shown, 1], "o", Q, "posterior mean"),
    ):
        at = (mu + np.outer(values, w)).T
        ax.scatter(*at, s=34, marker=marker, color=color, edgecolors="black", label=name, zorder=4)
    ax.set(xlabel="first exam / points", ylabel="second exam / points")
    ax.set_aspect("equal")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def kept_by_a_step(ax: Axes) -> Axes:
    """Draw the share of an error in length that EM keeps, and PX-EM, over the share of noise."""
    rho = np.linspace(0, 1, 101)
    curve(ax, rho, 1 - 2 * rho * (1 - rho), label="EM")
    curve(ax, rho, rho**2, color=THETA, style="--", label="with units fitted")
    ax.set(xlabel=r"share of noise $\rho$", ylabel="error kept by a step", ylim=(0, 1.05))
    ax.legend()
    return ax


def below_the_top(ax: Axes, paths: dict[str, Array]) -> Axes:
    """Draw how far each path of bounds is below the best end of all, on a log scale down to .01."""
    top = max(bounds[-1] for bounds in paths.values())
    looks = (("black", "-"), (THETA, "--"), (Q, ":"))
    for (name, bounds), (color, style) in zip(paths.items(), looks, strict=False):
        below = np.maximum(top - bounds, 0.01)
        below = below[: np.count_nonzero(below > 0.01) + 1]
        curve(ax, np.arange(len(below)), below, color=color, style=style, label=name)
    ax.set(xlabel="iteration", ylabel="below the top / nats", yscale="log")
    ax.legend()
    return ax


def grouped_bars(ax: Axes, groups: dict[str, Array], names) -> Axes:
    """Draw several values for each name side by side; the first group is the truth, black."""
    _side_by_side(ax, groups, (TRUTH, THETA, Q, BOUND))
    ax.set_xticks(np.arange(len(names)), names, rotation=30, ha="right")
    ax.legend()
    return ax


def _side_by_side(ax: Axes, groups: dict[str, Array], colors) -> list[Array]:
    """Draw the bars of each group beside each other; return where they stand."""
    width, places = 0.8 / len(groups), []
    hatches = ("", "\\\\\\", "///", "...", "xxx")
    for i, (label, values) in enumerate(groups.items()):
        at = np.arange(len(values)) + (i - (len(groups) - 1) / 2) * width
        ax.bar(at, values, width, label=label, color=colors[i], hatch=hatches[i], ec="white")
        places.append(at)
    return places


def accuracies(ax: Axes, n_labels, table: dict[str, Array]) -> Axes:
    """Draw accuracies (numbers of labels, seeds) with their standard deviations, for each way."""
    looks = ((DATA, "o-"), (Q, "s-"), (THETA, "^:"), (BOUND, "D--"), (GAP, "v-."))
    for (name, values), (color, look) in zip(table.items(), looks, strict=False):
        ax.errorbar(
            n_labels, values.mean(1), values.std(1), color=color, fmt=look, capsize=3, label=name
        )
    ax.set(xscale="log", xlabel="number of labels", ylabel="accuracy")
    ax.set_xticks(n_labels, n_labels)
    ax.minorticks_off()
    ax.legend()
    return ax


def arrows(ax: Axes, loadings: Array, names) -> Axes:
    """Draw the loadings (D, 2) of each column as an arrow in the plane of the two factors."""
    length = np.linalg.norm(loadings, axis=1)
    reach, angle = 1.8 * length.max(), np.arctan2(loadings[:, 1], loadings[:, 0])
    order = np.argsort(angle)
    for _ in range(50):  # names of arrows that are close move apart on their circle
        near = np.maximum(0.55 - np.diff(angle[order]), 0.0) / 2
        angle[order[:-1]] -= near
        angle[order[1:]] += near
    for (a, b), name, t in zip(loadings, names, angle, strict=True):
        ax.annotate("", (a, b), (0, 0), arrowprops={"arrowstyle": "->", "color": THETA, "lw": 1.5})
        at = 1.3 * length.max() * np.array([np.cos(t), np.sin(t)])
        ax.plot([a, at[0]], [b, at[1]], color=DATA, lw=0.6, ls=":")
        box = {"boxstyle": "square,pad=0.1", "color": "white"}
        ax.text(*at, name, ha="center", va="center", fontsize=9, bbox=box)
    ax.axhline(0, color=DATA, lw=0.8)
    ax.axvline(0, color=DATA, lw=0.8)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set(xlabel="loading on $z_1$", ylabel="loading on $z_2$")
    return ax


# ------------------------------------------------------------------ 05 variational Bayes


def contours(ax: Axes, a: Array, b: Array, density: Array, *, color=Q, style="-", label=None):
    """Draw where a density (len(b), len(a)) is 0.9, 0.5, 0.2 and 0.05 of its highest value."""
    levels = density.max() * np.array([0.05, 0.2, 0.5, 0.9])
    ax.contour(a, b, density, levels=levels, colors=color, linestyles=style, linewidths=1.5)
    if label is not None:
        ax.plot([], [], color=color, ls=style, label=label)
    return ax


def hills_and_valley(ax: Axes, grid: Array, height: Array, paths) -> Axes:
    """Draw a bound (q_a, q_b) over the square of two probabilities, and ascents over it, blue."""
    levels = height.max() - np.array([2.5, 1.6, 1.0, 0.6, 0.4, 0.3, 0.2, 0.1, 0.03])
    ax.contourf(grid, grid, height.T, levels=[*levels, height.max()], cmap="Greens", extend="min")
    for i, (path, look) in enumerate(zip(paths, ("o-", "s--", "^:"), strict=False)):
        ax.plot(*np.transpose(path), look, color=Q, ms=5, lw=1.5, label=f"ascent {i + 1}")
        ax.plot(*path[-1], "*", color="black", ms=13, mec="white", zorder=4)
    ax.set(xlabel="$q_a(1)$", ylabel="$q_b(1)$", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.legend(loc="upper left", fontsize=9)
    return ax


def seeking(ax: Axes, grid: Array, p: Array, ends, spread: Array) -> Axes:
    """Draw p, the ends (KL, q) of searches for the least KL(q‖p), and the least KL(p‖q)."""
    ax.plot(grid, p, "--", color=TRUTH, lw=3, alpha=0.6, label="$p$")
    for (kl, q), look, side in zip(ends, ("-", ":", "--"), ("left", "right", "wide"), strict=False):
        label = rf"KL$(q\,\|\,p)$ = {kl:.2f}, start: {side}"
        ax.plot(grid, q, look, color=Q, label=label)
    ax.plot(grid, spread, "-.", color=GAP, label=r"least KL$(p\,\|\,q)$")
    ax.set(xlabel="$z$", ylabel="density")
    ax.legend(fontsize=9, loc="upper right")
    return ax


def mixture_diagram(ax: Axes, *, priors: bool) -> Axes:
    """Draw the mixture of N data and K components, its parameters as dots or, with priors, open."""
    at = {"$z_n$": (2, 1), "$x_n$": (3.8, 1), r"$\pi$": (2, 2.6), r"$\mu_k$": (3.4, 2.6)}
    at[r"$\Lambda_k$"] = (4.6, 2.6)
    links = [(r"$\pi$", "$z_n$"), ("$z_n$", "$x_n$"), (r"$\mu_k$", "$x_n$")]
    links += [(r"$\Lambda_k$", "$x_n$")] + [(r"$\Lambda_k$", r"$\mu_k$")] * priors
    for name, (x, y) in at.items():
        if priors or y == 1:
            face = "#c8c8c8" if name == "$x_n$" else "white"
            ax.add_patch(Circle((x, y), 0.33, fc=face, ec="black", lw=1.8))
            ax.text(x, y, name, ha="center", va="center", fontsize=14)
        else:
            ax.plot(x, y, "o", color=THETA, ms=9)
            ax.text(x + 0.16, y + 0.05, name, va="center", fontsize=14)
    for start, end in links:
        a, b = np.array(at[start], float), np.array(at[end], float)
        step, near = (b - a) / np.hypot(*(b - a)), 0.35 if priors or a[1] == 1 else 0.12
        arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.5, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", b - 0.36 * step, a + near * step, arrowprops=arrow)
    for corner, wide, high, name in (((1.4, 0.4), 3.1, 1.15, "$N$"), ((2.9, 2.1), 2.4, 1.0, "$K$")):
        ax.add_patch(Rectangle(corner, wide, high, fill=False, lw=1.5))
        right = corner[0] + wide - 0.08
        ax.text(right, corner[1] + 0.05, name, ha="right", va="bottom", fontsize=12)
    ax.set(xlim=(1.2, 5.5), ylim=(0.3, 3.3), aspect="equal")
    ax.set_axis_off()
    return ax


# ------------------------------------------------------------------ 06 variational EM


def gap(ax: Axes, steps, log_lik: Array) -> Axes:
    """Draw the bound after every half-step, ln p(X) above it, and the divergence between them."""
    at = np.arange(len(log_lik)) / 2
    ax.fill_between(
        at, [s.bound for s in steps], log_lik, step="post",
        fc="none", ec=GAP, hatch="///", lw=0, label="KL$(q\\,\\|\\,p)$",
    )  # fmt: skip
    ax.plot(at, log_lik, color="black", drawstyle="steps-post", lw=1.5, label=r"$\ln p(X|\theta)$")
    return staircase(ax, steps)


def joint_table(ax: Axes, table: Array, *, title: str = "") -> Axes:
    """Draw the probabilities of two switches (2, 2), the first downwards, with their numbers."""
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(table):
        color = "white" if value > 0.6 else "black"
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=color, fontsize=12)
    ax.set(xticks=[0, 1], yticks=[0, 1], xlabel="$z_2$", ylabel="$z_1$", title=title)
    return ax


def hills(ax: Axes, m: Array, bounds: Array, found: int, log_p: float) -> Axes:
    """Draw the bound of one datum over m_1, where ascent ended, and the two gaps to ln p(x)."""
    best, right = int(np.argmax(bounds)), m.max()
    levels = bounds[found], bounds[best], log_p
    ax.plot(m, bounds, color=BOUND, label="bound, $m_2$ at its best")
    ax.axhline(log_p, color="black", lw=1.5, label=r"$\ln p(x|\theta)$")
    ax.plot(m[found], bounds[found], "o", color=Q, ms=12, label="where ascent ended")
    star = {"ms": 11, "mec": "white", "mew": 0.8, "ls": "none", "label": "best product"}
    ax.plot(m[best], bounds[best], "*", color=BOUND, **star)  # on top: they may be the same
    names = "optimiser's gap", "family's gap"
    for i, (low, high) in enumerate(itertools.pairwise(levels)):
        if abs(high - low) < 0.03 * (log_p - bounds.min()):
            continue  # too small to be seen
        at = right * (1.08 + 0.06 * i)
        ax.plot([at, at], [low, high], color=(Q, GAP)[i], lw=6, solid_capstyle="butt")
        text = f" {names[i]} {abs(high - low):.2f}"
        ax.text(at + 0.03 * right, (low + high) / 2, text, va="center", fontsize=12)
    ax.set(xlim=(m.min() - 0.03, 2 * right), xticks=[0, 0.5, 1])
    ax.set_xlabel("$m_1$", x=0.25)
    ax.spines["bottom"].set_bounds(m.min(), right)
    return ax


def gaps(
    ax: Axes, at: Array, table: dict[str, Array], *, label: str, colors=(Q, GAP, THETA, BOUND)
) -> Axes:
    """Draw several gaps in nats over a logarithmic axis."""
    looks = ("o-", "s--", "^:", "D-.")
    for (name, values), color, look in zip(table.items(), colors, looks, strict=False):
        ax.plot(at, values, look, color=color, ms=5, label=name)
    ax.set(xscale="log", xlabel=label, ylabel="nats per datum")
    ax.set_xticks(at, [f"{a:g}" for a in at])
    ax.minorticks_off()
    ax.legend(fontsize=10)
    return ax


def learned(ax: Axes, fits: dict) -> Axes:
    """Draw loadings and probabilities of several models of switches; the first is the truth."""
    d, k = next(iter(fits.values())).loadings.shape
    names = [f"$w_{{{i + 1}{j + 1}}}$" for j in range(k) for i in range(d)]
    names += [rf"$\pi_{j + 1}$" for j in range(k)]
    bars = {name: np.append(f.loadings.T.ravel(), f.probs) for name, f in fits.items()}
    grouped_bars(ax, bars, names)
    ax.set(ylabel="value", xlabel="$w_{ij}$: pixel $i$ of cause $j$")
    ax.legend(fontsize=9, ncols=len(fits), loc="lower center", bbox_to_anchor=(0.5, 1))
    return ax


def starts(ax: Axes, bounds: Array, scores: Array, *, score: str) -> Axes:
    """Draw where fits from many starts ended: bound against a score, the best bound ringed."""
    ax.scatter(bounds, scores, s=30, color=BOUND, alpha=0.7, linewidths=0)
    best = np.argmax(bounds)
    ax.scatter(bounds[best], scores[best], s=140, facecolors="none", edgecolors="black", lw=1.5)
    ax.annotate(
        "highest bound", (bounds[best], scores[best]), (-95, -18), textcoords="offset points"
    )
    ax.set(xlabel="bound, nats per datum", ylabel=score)
    return ax


# ------------------------------------------------------------------ 07 gradients through samples


def variances(ax: Axes, at: Array, table: dict[str, Array], *, label: str) -> Axes:
    """Draw variances of gradient estimators, both axes logarithmic."""
    looks = {"path": (Q, "o-"), "score": (THETA, "^:"), "score with baseline": (BOUND, "s--")}
    for name, values in table.items():
        color, look = looks[name]
        ax.plot(at, values, look, color=color, ms=5, label=name)
    ax.set(xscale="log", yscale="log", xlabel=label, ylabel="variance of one sample")
    ax.legend()
    return ax


def two_ways(axes, grid: Array, f, before: Array, after: Array, z: Array, move: float) -> None:
    """Draw f, q on a grid before and after a move of its mean, and samples z (S,): weighed, moved.

    On the left each sample stays, and the area of its dot is its weight, q after over q before; on
    the right all weigh the same and are carried along.
    """
    for ax in axes:
        ax.plot(grid, f(grid), color="black", lw=1.5, label="$f$")
        ax.plot(grid, before, color=DATA, lw=1.5, ls=":", label="$q$ before")
        ax.plot(grid, after, color=Q, lw=1.5, ls="--", label="$q$ after")
        ax.scatter(
            z, f(z), s=40, facecolors="white", edgecolors=DATA, zorder=3, label="sample before"
        )
        ax.set(xlabel="$z$", yticks=[])
    weights = np.interp(z, grid, after) / np.interp(z, grid, before)
    axes[0].scatter(
        z, f(z), s=40 * weights, color=THETA, alpha=0.6, zorder=4, label="its weight after"
    )
    axes[1].scatter(
        z + move, f(z + move), s=40, color=THETA, alpha=0.6, zorder=4, label="sample after"
    )
    for a, b in zip(z, z + move, strict=True):
        axes[1].annotate("", (b, f(b)), (a, f(a)), arrowprops={"arrowstyle": "->", "color": THETA})
    axes[0].set_title("weigh: samples stay", fontsize=11)
    axes[1].set_title("move: samples go along", fontsize=11)
    for ax in axes:
        ax.legend(fontsize=9, loc="upper left")


def noisy_ascent(ax: Axes, estimates: Array, limit: float, *, name: str) -> Axes:
    """Draw estimates of the bound, their running mean over 50 steps, and where they may end."""
    steps = np.arange(1, len(estimates) + 1)
    ax.plot(steps, estimates, color=DATA, lw=0.5, alpha=0.6, label="estimate")
    running = np.convolve(estimates, np.full(50, 0.02), mode="valid")
    ax.plot(steps[49:], running, color=BOUND, label="running mean")
    ax.axhline(limit, color=TRUTH, ls="--", lw=1.5, label=name)
    ax.set(xscale="log", xlabel="step", ylabel="bound, nats")
    ax.legend(fontsize=9)
    return ax


# ------------------------------------------------------------------ 08 variational autoencoder


def vae_diagram(ax: Axes) -> Axes:
    """Draw the way of a datum: x, the encoder, the parameters of q, a sample z, the decoder."""
    edges = {
        "$x$": "black",
        "encoder\n" + r"$\varphi$": Q,
        r"$\mu,\ \sigma$": Q,
        r"$z = \mu + \sigma\varepsilon$": "black",
        "decoder\n" + r"$\theta$": THETA,
        r"$p(x\,|\,z)$": THETA,
    }
    for i, (name, edge) in enumerate(edges.items()):
        ax.add_patch(Rectangle((2 * i - 0.7, 0.6), 1.4, 0.8, fc="white", ec=edge, lw=2))
        ax.text(2 * i, 1, name, ha="center", va="center", fontsize=13)
    arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
    for i in range(len(edges) - 1):
        ax.annotate("", (2 * i + 1.3, 1), (2 * i + 0.7, 1), arrowprops=arrow)
    ax.annotate("", (6, 0.6), (6, 0.15), arrowprops=arrow)
    ax.text(6, 0.1, r"noise $\varepsilon \sim N(0, I)$", ha="center", va="top", fontsize=12)
    ax.text(3, 1.55, r"inference: $q(z\,|\,x)$", ha="center", va="bottom", color=Q)
    ax.text(9, 1.55, "the model", ha="center", va="bottom", color=THETA)
    ax.set(xlim=(-0.9, 10.9), ylim=(-0.25, 1.9), title="the way of a datum through a VAE")
    ax.set_axis_off()
    return ax


def moved(ax: Axes, before: Array, after: Array) -> Axes:
    """Draw where points (N, 2) are by the network, and, joined by lines, where they would be."""
    for a, b in zip(before, after, strict=True):
        ax.plot(*np.column_stack([a, b]), color=DATA, lw=1, zorder=1)
    ax.scatter(*before.T, s=28, color=Q, label="by the network")
    ax.scatter(*after.T, s=28, color=THETA, marker="^", label="free for each datum")
    ax.set(xlabel="$z_1$", ylabel="$z_2$")
    ax.legend(fontsize=9)
    return ax


def training_curves(ax: Axes, trace) -> Axes:
    """Draw the bound over epochs, of training and of held-out data."""
    epochs = np.arange(1, len(trace.bound) + 1)
    ax.plot(epochs, trace.bound, color=BOUND, label="training")
    if trace.validation:
        ax.plot(epochs, trace.validation, color="black", ls="--", lw=1.5, label="held out")
    ax.set(xlabel="epoch", ylabel="bound, nats per datum")
    ax.legend()
    return ax


def two_terms(ax: Axes, trace) -> Axes:
    """Draw the two terms of the bound over epochs: what is explained, and what that costs."""
    epochs = np.arange(1, len(trace.bound) + 1)
    ax.plot(epochs, trace.explained, color=THETA, label=r"$E_q[\ln p(x|z)]$")
    ax.plot(epochs, trace.divergence, color=GAP, ls="-.", label=r"KL$(q\,\|\,p(z))$")
    ax.set(xlabel="epoch", ylabel="nats per datum")
    ax.legend()
    return ax


# ------------------------------------------------------------------ 09 what the factors mean


def scores(ax: Axes, table: dict[str, Array], names) -> Axes:
    """Draw measures (seeds, len(names)) of several models: means as bars, each seed as a dot."""
    means = {label: values.mean(0) for label, values in table.items()}
    places = _side_by_side(ax, means, (DATA, THETA, Q, BOUND, GAP))
    for at, values in zip(places, table.values(), strict=True):
        for run in values:
            ax.plot(at, run, ".", color="black", ms=4)
    ax.set_xticks(np.arange(len(names)), names)
    ax.set(ylim=(0, 1), ylabel="score")
    ax.legend(fontsize=9, ncols=2)
    return ax


def walks(axes, models: dict) -> None:
    """Draw walks along three codes of each model, from the 2nd to the 98th percentile.

    `models` names (codes (N, K), decode, which three or None for those that change most);
    `decode` takes codes and returns square grey images, flat.
    """
    for ax, (name, (codes, decode, shown)) in zip(axes.flat, models.items(), strict=False):
        k = codes.shape[1]
        path = np.tile(codes.mean(0), (k, 5, 1))
        path[np.arange(k), :, np.arange(k)] = np.linspace(*np.quantile(codes, [0.02, 0.98], 0), 5).T
        faces = decode(path.reshape(5 * k, k))
        side = int(np.sqrt(faces.shape[1]))
        faces = faces.reshape(k, 5, side, side)
        if shown is None:
            shown = np.argsort(-np.ptp(faces, axis=1).mean((1, 2)))[:3]
        images(ax, faces[shown].reshape(15, side, side), columns=5, vmax=1, gap=1)
        row_names(ax, [f"$c_{{{i + 1}}}$" for i in shown], height=side, gap=1)
        ax.set_title(name)
    for ax in axes.flat[len(models) :]:
        ax.set_axis_off()


def sheets(axes, rows: dict[str, Array], *, limits=(0, 1)) -> None:
    """Draw named rows of square grey images, flat (N, D), each in axes of its own."""
    for ax, (name, x) in zip(axes, rows.items(), strict=True):
        side = int(np.sqrt(x.shape[1]))
        low, high = limits
        images(ax, x.reshape(-1, side, side), columns=len(x), vmin=low, vmax=high, gap=1)
        ax.set_title(name, loc="left")


def maps(axes, points: dict[str, Array], labels: Array) -> None:
    """Draw several maps of the same labelled data, each label's name in its own colour."""
    for ax, (name, x) in zip(axes.flat, points.items(), strict=True):
        labelled_points(ax, x, labels, size=6)
        for number, cloud in zip(ax.texts, ax.collections, strict=True):
            number.get_bbox_patch().set(ec=cloud.get_facecolor()[0], lw=2, alpha=0.9)
        ax.set(title=name, xticks=[], yticks=[])


# ------------------------------------------------------------------ 10 closing the gap


def ladder(ax: Axes, rungs: dict[str, float], *, form: str = ".2f") -> Axes:
    """Draw how far each bound is below the log likelihood, a bar for each q."""
    _lying_bars(ax, rungs, form, fc="none", ec=GAP, hatch="///", lw=1.5)
    ax.set(xlabel=r"gap $\ln p(x) - L$, nats per datum")
    return ax


def two_gaps(ax: Axes, parts: dict[str, tuple[float, float]]) -> Axes:
    """Draw the approximation and the amortisation gap of several encoders as stacked bars."""
    names = list(parts)[::-1]
    first, second = (np.array([parts[n][i] for n in names]) for i in (0, 1))
    ax.barh(names, first, color=GAP, ec="white", label="approximation")
    ax.barh(names, second, left=first, color=Q, ec="white", hatch="///", label="amortisation")
    ax.set(xlabel="nats per datum")
    ax.legend(fontsize=9, loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.25))
    return ax


# ------------------------------------------------------------------ 11 scaling out


def seconds(ax: Axes, times: dict[str, float]) -> Axes:
    """Draw how long each way takes, a bar each."""
    _lying_bars(ax, times, ".3g", color=Q)
    ax.set(xlabel="seconds")
    return ax


def _lying_bars(ax: Axes, values: dict[str, float], form: str, **look) -> None:
    """Draw a bar for each name, the first on top, its number at its end."""
    names = list(values)[::-1]
    ax.barh(names, [values[n] for n in names], **look)
    for i, name in enumerate(names):
        ax.text(values[name], i, f" {values[name]:{form}}", va="center", fontsize=10)
