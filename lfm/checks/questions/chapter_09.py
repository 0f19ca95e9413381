"""Numbers of the exam questions on chapter 09, what the factors mean."""

import numpy as np

from lfm import evaluation
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
