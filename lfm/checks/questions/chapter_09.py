"""Numbers of the exam questions on chapter 09, what the factors mean."""

from functools import partial

import numpy as np

from lfm import bound, evaluation, figures
from lfm.checks.questions.drawing import Numbers, pick


def gap_of_two_codes(rng) -> Numbers | None:
    factor = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    flips = rng.choice(8, 4, replace=False)
    first, second = factor.copy(), factor.copy()
    first[flips[0]] ^= 1
    second[flips[1:]] ^= 1
    codes = np.column_stack([first, second])
    one, two = evaluation.mutual_information(codes, factor[:, None], bins=2)[:, 0]
    gap = evaluation.mutual_information_gap(codes, factor[:, None], bins=2)
    if two > 0.9 * one:
        return None
    return Numbers(one, two, gap, factor=factor, first=first, second=second, entropy=np.log(2))


def neighbours_on_a_map(rng) -> Numbers | None:
    codes, labels = np.sort(pick(rng, 0, 9.9, 0.1, 6)), rng.permutation([0, 0, 0, 1, 1, 1])
    gaps = np.diff(codes)
    if gaps.min() < 0.2 or len(set(np.round(gaps, 6))) < 5:
        return None
    score = evaluation.neighbour_score(codes[:, None], labels, n_neighbours=1)
    if score in (0.0, 1.0):
        return None
    nearest = [int(np.argsort(np.abs(codes - c))[1]) for c in codes]
    kinds = np.array(["cat", "dog"])[labels]
    pictures = ", ".join(f"{c:g} ({kind})" for c, kind in zip(codes, kinds, strict=True))
    same = codes[labels == labels[nearest]]
    return Numbers(score, pictures=pictures, same=same, n_same=len(same))


def tables_of_importance(rng) -> Numbers:
    major, order = float(pick(rng, 0.5, 0.9, 0.1)), rng.permutation(4)
    shares = np.array([major, round(1 - major, 1)])
    sums, twice = np.zeros((2, 4)), np.eye(4)[rng.permutation([*range(4), *range(4)])]
    sums[[0, 0, 1, 1], order] = np.tile(shares, 2)
    tables = {"twice": twice, "even": np.full((4, 4), 0.5), "sums": sums}
    names = dict(zip(rng.permutation(list(tables)).tolist(), "ABC", strict=True))
    entropy = bound.entropy(shares)
    lettered = {names[kind]: table for kind, table in tables.items()}
    return Numbers(
        names["twice"],
        names["even"],
        1 - entropy / np.log(4),
        **names,
        **lettered,
        entropy=entropy,
        major=shares[0],
        minor=shares[1],
        picture=partial(_three_tables, [lettered[letter] for letter in "ABC"]),
    )


def _three_tables(tables):
    fig, axes = figures.new(1, 3, width=8, height=4)
    for ax, table, letter in zip(axes, tables, "ABC", strict=True):
        ax.imshow(table, cmap="Greys", vmin=0, vmax=2)
        for (i, j), value in np.ndenumerate(table):
            ax.text(j, i, f"{value:g}" if value else "", ha="center", va="center")
        ax.set(title=f"table {letter}", xlabel="factor", ylabel="code")
        ax.set_xticks(range(4), range(1, 5))
        ax.set_yticks(range(len(table)), range(1, len(table) + 1))
    return fig
