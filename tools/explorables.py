"""Figures that a slider moves, in decks and on the site, without Python and without a network.

The frames are drawn here while slides or site are made; `tools/slides/explorable.js` shows one of
them and its words. A deck calls one `{explorable NAME}`; the site has it below the figure that it
moves.
"""

import functools
import html as escaped
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lfm import em, figures
from lfm.toy import TwoBells

DPI = 140
TYPE = 13  # points at a width of 7.5 inches: 28 units of a slide


@dataclass(frozen=True)
class Explorable:
    """A slider over frames. Each frame is drawn into axes and returns its words."""

    name: str
    counts: str  # what the slider counts, such as "half-step"
    below: str  # the chapter and the figure below which the site has it: "02/bound-touches"
    frames: Callable[[], list[tuple[bytes, str]]]


ALL: dict[str, Explorable] = {}


def explorable(name: str, counts: str, below: str):
    """Register a function that returns [(PNG, words)]; it must draw the same on each call."""

    def register(frames):
        ALL[name] = Explorable(name, counts, below, functools.cache(frames))
        return frames

    return register


def write(made: Explorable, folder: Path) -> None:
    """Write the frames into a folder of the explorable's name."""
    (folder / made.name).mkdir(parents=True, exist_ok=True)
    for i, (picture, _) in enumerate(made.frames()):
        (folder / made.name / f"{i:02}.png").write_bytes(picture)


def html(made: Explorable, folder: str) -> str:
    """Return the explorable as HTML: the first frame and its words, the others hidden."""
    frames = made.frames()
    images = "".join(
        f'<img class="fig" src="{folder}/{made.name}/{i:02}.png" alt="{escaped.escape(words)}"'
        f"{' hidden' if i else ''}>"
        for i, (_, words) in enumerate(frames)
    )
    return (
        f'<figure class="explorable">{images}<label><span>{made.counts}</span> '
        f'<input type="range" min="0" max="{len(frames) - 1}" value="0"></label>'
        f'<figcaption aria-live="polite">{escaped.escape(frames[0][1])}</figcaption></figure>'
    )


# ------------------------------------------------------------------ 02 expectation maximization


@explorable("em-half-steps", "half-step", "02/bound-touches")
def em_half_steps() -> list[tuple[bytes, str]]:
    """EM on the 60 data of chapter 02: inference lifts the bound, learning climbs it."""
    x, _ = TwoBells(3.0).sample(60, rng=4)
    theta = np.linspace(-0.5, 5.5, 300)
    log_lik = np.array([TwoBells(t).log_prob(x).sum() for t in theta])
    steps = list(itertools.islice(em.steps(TwoBells(0.1), x), 8))
    return [_half_step(theta, log_lik, x, steps, i) for i in range(len(steps))]


def _half_step(theta, log_lik, x, steps, i: int) -> tuple[bytes, str]:
    step, here = steps[i], steps[i].model.theta
    fig, ax = figures.new(height=3.3)
    ax.plot(theta, log_lik, color="black", label=r"$\ln p(X|\theta)$")
    bounds = [[TwoBells(t).lower_bound(s.stats) for t in theta] for s in steps[: i + 1 : 2]]
    for old in bounds[:-1]:
        ax.plot(theta, old, color=figures.BOUND, lw=1, alpha=0.4)
    ax.plot(theta, bounds[-1], color=figures.BOUND, ls="--", label=r"bound $L(q, \theta)$")
    log_p = step.model.log_prob(x).sum()
    if step.half == "inference":
        ax.scatter(here, step.bound, color=figures.Q, s=90, zorder=3, label="touches")
        words = f"Inference: q becomes the posterior, and the bound touches at θ = {here:.2f}"
    else:
        ax.plot([here, here], [step.bound, log_p], color=figures.GAP, lw=4, label="gap: KL")
        ax.scatter(here, step.bound, color=figures.THETA, marker="^", s=110, zorder=3, label="top")
        words = f"Learning: θ climbs to {here:.2f}, the top of the bound; a gap has opened"
    ax.set(xlabel=r"$\theta$", ylabel="nats", ylim=(log_lik.min() - 30, log_lik.max() + 15))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=TYPE)
    for text in (ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels()):
        text.set_fontsize(TYPE)
    return figures.png(fig, DPI), f"{words}. L = {step.bound:.1f}, ln p = {log_p:.1f} nats."
