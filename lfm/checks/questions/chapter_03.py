"""Numbers of the exam questions on chapter 03, the Gaussian mixture."""

import numpy as np

from lfm.checks.questions.drawing import Numbers, pick
from lfm.distributions import Categorical, InverseWishart
from lfm.gaussian_mixture import GaussianMixture


def learning_of_a_mixture(rng) -> Numbers | None:
    x, r = pick(rng, 0, 9, 1, 4), pick(rng, 0.1, 0.9, 0.1, 4)
    if len(set(x)) < 4:
        return None
    model = GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    stats = model.expect(x[:, None], Categorical(np.column_stack([r, 1 - r])))
    new = model.learn(stats)
    weight, mean, var = new.weights[0], new.means[0, 0], new.covs[0, 0, 0]
    squares = r @ (x - mean) ** 2
    return Numbers(weight, mean, var, x=x, r=r, sum_r=stats.r[0], rx=r @ x, squares=squares)


def covariance_with_a_prior(rng) -> Numbers | None:
    n, dof = int(rng.integers(2, 12)), int(rng.integers(4, 8))
    prior = np.diag(pick(rng, 1, 6, 0.5, 2))
    a, b, c = pick(rng, 3, 12, 0.5), pick(rng, 3, 12, 0.5), pick(rng, -2.5, 2.5, 0.5)
    if c == 0:
        return None
    scatter = np.array([[a, c], [c, b]])
    cov = InverseWishart(dof, prior).update(scatter, np.array(n))
    answers = cov[0, 0], cov[1, 1], cov[0, 1]
    return Numbers(*answers, n=n, dof=dof, S=scatter, Psi=prior, below=n + dof + 3)


def learning_step_by_hand(rng) -> Numbers | None:
    numbers = learning_of_a_mixture(rng)
    if numbers is None:
        return None
    (weight, mean, var), shown = numbers.answers, numbers.shown
    x, r, old = shown["x"], shown["r"], float(pick(rng, 0, 9, 0.5))
    claimed, old_squares = int((r > 0.5).sum()), r @ (x - old) ** 2
    if abs(old - mean) < 1 or abs(claimed / 4 - weight) < 0.05 or abs(weight - 1) < 0.05:
        return None
    wrong = {"by_all": r @ x / 4, "claimed": claimed, "share": claimed / 4}
    about_old = {"old": old, "old_squares": old_squares, "old_var": old_squares / r.sum()}
    return Numbers(weight=weight, mean=mean, var=var, **shown, **wrong, **about_old)
