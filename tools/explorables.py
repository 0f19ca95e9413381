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
from matplotlib.text import Text
from scipy.spatial import cKDTree
from scipy.special import softmax
from scipy.stats import norm

from lfm import data, em, figures
from lfm.gaussian_mixture import GaussianMixture
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


def frame(fig, words: str) -> tuple[bytes, str]:
    """Return a frame: the figure, its type large enough for the last row, and its words."""
    for text in fig.findobj(Text):
        text.set_fontsize(max(TYPE, text.get_fontsize()))
    return figures.png(fig, DPI), words


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


# ------------------------------------------------------------------ 00 latent factors


@explorable("labels-way-by-way", "way", "00/labels-and-accuracy")
def labels_way_by_way() -> list[tuple[bytes, str]]:
    """Chapter 00's share of faces that get the right label, one way after another."""
    ways, blunt = _six_ways()
    return [_some_ways(ways, blunt, i + 1) for i in range(len(ways))]


N_LABELS = np.array([5, 20, 100, 500])
IN_WORDS = {
    "9 + 1,015 faint": "9 factors and 1,015 columns of faint noise",
    "9, hair × 10": "9 factors, the three of the hair × 10",
    "70 pixels": "70 pixels of mouth and brows",
}


@functools.cache
def _six_ways():
    """Return {way: right (numbers of labels, draws)}, and how often one answer for all is right."""
    from sklearn.linear_model import RidgeClassifier

    faces, rng = data.faces(2000, rng=1), np.random.default_rng(0)
    friendly = (faces.column("mouth_curve") > 0) & (faces.column("brow_angle") < 0.3)
    factors = faces.factors / faces.factors.std(axis=0)
    hair = np.where([name.startswith("hair") for name in faces.names], 10, 1)
    moved = _moved("mouth_curve") | _moved("brow_angle")
    codes = {
        "1,024 pixels": faces.x,
        "9 factors": factors,
        "9 + 1,015 faint": np.hstack([factors, 0.03 * rng.normal(size=(2000, 1015))]),
        "9, hair × 10": factors * hair,
        f"{moved.sum()} pixels": faces.x[:, moved],
    }
    orders = [np.random.default_rng(seed).permutation(2000) for seed in range(12)]
    ways = {
        name: np.transpose([_nearest(c[order], friendly[order]) for order in orders])
        for name, c in codes.items()
    }
    rule, x, y = RidgeClassifier(), faces.x, friendly
    right = [
        [rule.fit(x[o[:n]], y[o[:n]]).score(x[o[1000:]], y[o[1000:]]) for o in orders]
        for n in N_LABELS
    ]
    ways["linear rule"] = np.array(right)
    return ways, max(friendly.mean(), 1 - friendly.mean())


def _moved(name: str):
    """Say for each pixel whether this factor alone moves it in one of sixty people."""
    same_people = [data.faces(60, rng=2, **{name: v}).x for v in (-1, 0, 1)]
    return (np.ptp(same_people, axis=0) > 0.1).any(axis=0)


def _nearest(codes, labels) -> list[float]:
    """Return how many of the last 1,000 share the label of the nearest of the first n."""
    known, asked = codes[:500], codes[1000:]
    squares = (known**2).sum(axis=1)[:, None] - 2 * known @ asked.T  # less what all have alike
    return [(labels[squares[:n].argmin(axis=0)] == labels[1000:]).mean() for n in N_LABELS]


def _some_ways(ways, blunt, count: int) -> tuple[bytes, str]:
    shown = dict(list(ways.items())[:count])
    fig, ax = figures.new(height=3.4)
    figures.accuracies(ax, N_LABELS, dict(list(shown.items())[:5]))
    if count == len(ways):
        ax.plot(N_LABELS, ways["linear rule"].mean(1), "k-x", label="linear rule")
    ax.axhline(blunt, color="black", ls=":", label="one answer")
    ax.set(xlim=(4, 640), ylim=(0.48, 0.97), ylabel="share right")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    fig.set_layout_engine("none")
    ax.set_position([0.1, 0.17, 0.6, 0.8])  # the same in all frames, whatever the legend holds
    name, right = list(shown.items())[-1]
    at = ", ".join(f"{v:.2f}" for v in right.mean(1)[1:])
    kind = (
        "A linear rule on 1,024 pixels"
        if name == "linear rule"
        else f"Nearest in {IN_WORDS.get(name, name)}"
    )
    return frame(fig, f"{kind}: {at} are right with 20, 100, 500 labels.")


# ------------------------------------------------------------------ 02 expectation maximization


@explorable("em-half-steps", "half-step", "02/bound-touches")
def em_half_steps() -> list[tuple[bytes, str]]:
    """EM on the 60 data of chapter 02: inference lifts the bound, learning climbs it."""
    x, _ = TwoBells(3.0).sample(60, rng=4)
    theta = np.linspace(-0.5, 5.5, 300)
    log_lik = np.array([TwoBells(t).log_prob(x).sum() for t in theta])
    steps = list(itertools.islice(em.steps(TwoBells(0.8), x), 8))
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
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return frame(fig, f"{words}. L = {step.bound:.1f}, ln p = {log_p:.1f} nats.")


# ------------------------------------------------------------------ 03 Gaussian mixture


@explorable("old-faithful-half-steps", "half-step", "03/half-steps")
def old_faithful_half_steps() -> list[tuple[bytes, str]]:
    """EM on Old Faithful from the start of chapter 03, and how the bound rises."""
    x = data.old_faithful()
    start = GaussianMixture([0.5, 0.5], [[2.5, 85.0], [4.5, 60.0]], [np.diag([0.8, 150.0])] * 2)
    steps = list(itertools.islice(em.steps(start, x), 32))
    return [_eruptions(x, steps, i) for i in range(len(steps))]


def _eruptions(x, steps, i: int) -> tuple[bytes, str]:
    step, probs = steps[i], steps[i].q.probs
    fig, (left, right) = figures.new(1, 2, height=3.3, width_ratios=[5, 4])
    figures.mixture(left, x, step.model, probs, labels=("eruption / min", "waiting / min"))
    left.set(xlim=(0.8, 6.5), ylim=(32, 115))
    figures.staircase(right, steps[: i + 1])
    right.set(xlim=(-0.5, len(steps) / 2), ylim=(steps[1].bound - 20, steps[-1].bound + 20))
    right.legend(loc="upper left")
    if step.half == "inference":
        shared = int((probs.max(axis=1) < 0.9).sum())
        words = f"inference: colours change; {shared} of {len(x)} are claimed by both"
    else:
        short, long = np.sort(step.model.means[:, 0])
        words = f"learning: the ellipses move; their centres are at {short:.1f} and {long:.1f} min"
    return frame(fig, f"{i // 2 + 1}, {words}. L = {step.bound:.1f} nats.")


# ------------------------------------------------------------------ 05 variational Bayes


@explorable("kl-directions", "distance", "05/two-modes")
def kl_directions() -> list[tuple[bytes, str]]:
    """A density of two hills that part, and the product that each direction of KL chooses."""
    return [_two_hills(d) for d in np.linspace(1, 3, 9)]


def _two_hills(d: float) -> tuple[bytes, str]:
    grid = np.linspace(-6, 6, 120)
    bells = [norm.pdf(grid, centre) for centre in (-d, d)]
    p = 0.6 * np.outer(bells[0], bells[0]) + 0.4 * np.outer(bells[1], bells[1])
    p /= p.sum()
    q, kl = max((_mean_field(np.log(p), b) for b in (*bells, sum(bells))), key=lambda end: -end[1])
    margins = np.outer(p.sum(1), p.sum(0))
    fig, axes = figures.new(1, 2, height=3.8, sharex=True, sharey=True)
    covers = (p * np.log(p / margins)).sum()
    titles = (rf"KL$(q\,\|\,p)$: {kl:.2f} nats", rf"KL$(p\,\|\,q)$: {covers:.2f} nats")
    for ax, product, title in zip(axes, (q, margins), titles, strict=True):
        figures.contours(ax, grid, grid, p.T, color=figures.TRUTH, style="--")
        figures.contours(ax, grid, grid, product.T)
        ax.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal", title=f"least {title}")
    on, apart = grid > 0, np.outer(grid, grid) < 0
    words = (
        f"Hills at ±{d:g}. Share of z₁ > 0: p {p[on].sum():.0%}, left q {q[on].sum():.0%}. "
        f"Share where signs differ: p {p[apart].sum():.0%}, right q {margins[apart].sum():.0%}."
    )
    return frame(fig, words)


def _mean_field(log_p, start) -> tuple[np.ndarray, float]:
    """Return the product (z_1, z_2) at which coordinate ascent from q(z_2) ends, and its KL."""
    b = start / start.sum()
    for _ in range(300):
        a = softmax(log_p @ b)  # average the log joint over the other factor
        b = softmax(a @ log_p)
    q = np.outer(a, b)
    return q, abs((q * (np.log(q) - log_p)).sum())


# ------------------------------------------------------------------ 08 variational autoencoder


@explorable("vae-plane", "step", "08/plane-of-digits")
def vae_plane() -> list[tuple[bytes, str]]:
    """A spiral through the plane of chapter 08's two factors, and what the decoder draws there."""
    vae, x, labels = _plane()
    codes = vae.infer(x).mean.detach().numpy()
    way = np.sqrt(np.linspace(0, 1, 31))[:, None]  # steps of about one length
    path = 2.2 * way * np.hstack([np.cos(5 * np.pi * way), np.sin(5 * np.pi * way)])
    drawn = 1 - vae.likelihood(path).mean.detach().numpy().reshape(-1, 1, 8, 8)
    return [_place(codes, labels, path[: i + 1], image) for i, image in enumerate(drawn)]


@functools.cache
def _plane():
    """Return a model of the digits as in chapter 08, the digits and their labels."""
    from lfm import training
    from lfm.vae import VAE

    digits = data.digits()
    seen = np.random.default_rng(0).permutation(len(digits.x))[:1500]
    vae = VAE.dense(64, 2, (200,), rng=0)
    options = {"batch_size": 100, "lr": 4e-3, "rng": 0, "device": "cpu", "binarise": True}
    training.train(vae, digits.x[seen], epochs=60, **options)
    return vae, digits.x[seen], digits.labels[seen]


def _place(codes, labels, path, image) -> tuple[bytes, str]:
    fig, (left, right) = figures.new(1, 2, height=3.6, width_ratios=[3, 2])
    figures.labelled_points(left, codes, labels, size=8)
    left.plot(*path.T, color="black", lw=1, zorder=4)  # above the digits' names
    left.plot(*path[-1], "o", ms=16, mfc="none", mec="black", mew=3, zorder=5)
    left.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-2.7, 2.7), ylim=(-2.7, 2.7), aspect="equal")
    left.set_title("where digits lie")
    figures.images(right, image, columns=1, vmin=0, vmax=1, framed=True)
    right.set_title("what the decoder draws")
    near = sorted(labels[cKDTree(codes).query(path[-1], k=10)[1]])
    where = "({:.1f}, {:.1f})".format(*path[-1])
    return frame(fig, f"z = {where}. Digits of the ten nearest codes: {' '.join(map(str, near))}.")


# ------------------------------------------------------------------ 09 what the factors mean


@explorable("face-walks", "step", "09/walks")
def face_walks() -> list[tuple[bytes, str]]:
    """Chapter 09's walks along codes that a VAE found, and along those that another was told."""
    names, shown, traits = _six_walks()
    return [_six_faces(names, shown[i], (i, traits[i] - traits[0])) for i in range(len(shown))]


@functools.cache
def _six_walks():
    """Return names of six codes, faces (steps, 6, 16, 16), and their traits (steps, 6, 11)."""
    from lfm.vae import VAE, ConditionalVAE, DiagonalGaussian, SharedGaussian, mlp

    faces = data.faces(2000, rng=0)
    x = (faces.x.reshape(-1, 16, 2, 16, 2).mean((2, 4)).reshape(-1, 256) - 0.66) / 0.26
    told = [faces.column(name) for name in ("glasses", "hair_length", "mouth_curve")]
    encoder, decoder = mlp([259, 128, 14], rng=0), mlp([10, 128, 256], rng=10)
    taught = ConditionalVAE(DiagonalGaussian(encoder, 0.0), SharedGaussian(decoder), 7, 3)
    found = _walks(VAE.dense(256, 10, (128,), rng=0, decoder=SharedGaussian), x)
    most = np.sort(np.argsort(-np.ptp(found, axis=0).mean(1))[:3])
    shown = np.hstack([found[:, most], _walks(taught, np.column_stack([x, *told]))[:, 7:]])
    kinds = faces.factors[:, 8:] == np.arange(3)
    main = np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:60].T  # the judge of the chapter
    judge = np.linalg.lstsq(x @ main, np.hstack([faces.factors[:, :8], kinds]), rcond=None)[0]
    names = [*(f"code {k + 1}" for k in most), "glasses", "hair", "mouth"]
    return names, shown.reshape(-1, 6, 16, 16) * 0.26 + 0.66, shown @ main @ judge


def _walks(model, rows, steps: int = 11):
    """Train a model; return faces (steps, codes, 256) from the 2nd to the 98th percentile."""
    from lfm import training

    model.decoder.log_var.data.fill_(-1.0)  # fewer steps, as in the chapter
    training.train(model, rows, epochs=18, batch_size=50, lr=4e-3, rng=0, device="cpu")
    codes = np.hstack([model.infer(rows).mean.detach().numpy(), rows[:, 256:]])
    k = np.arange(codes.shape[1])
    path = np.tile(codes.mean(0), (steps, len(k), 1))
    path[:, k, k] = np.linspace(*np.quantile(codes, [0.02, 0.98], axis=0), steps)
    drawn = model.likelihood(path.reshape(-1, len(k))).mean.detach().numpy()
    return drawn.reshape(steps, len(k), 256)


def _six_faces(names, faces, changes) -> tuple[bytes, str]:
    fig, ax = figures.new(height=3.5)
    figures.images(ax, faces, columns=3, vmax=1, gap=4)
    rows = ("codes that\na VAE found", "codes that\na conditional\nVAE was told")
    figures.row_names(ax, rows, height=16, gap=4)
    for k, name in enumerate(names):
        ax.text(20 * (k % 3) + 7.5, 20 * (k // 3) + 15.8, name, ha="center", va="top")
    step, change = changes
    large = np.abs(change) > 0.4  # of a range from -1 to 1; the kind of hair is the last three
    counts = large[:, :8].sum(axis=1) + large[:, 8:].any(axis=1)
    words = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
    return frame(fig, f"Step {step}. Traits that have changed: {words}.")
