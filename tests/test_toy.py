"""The two bells: a mixture with all but one parameter held fixed."""

import numpy as np
import pytest
import torch

from lfm import em
from lfm.distributions import Categorical
from lfm.gaussian_mixture import GaussianMixture
from lfm.toy import TwoBells

X = TwoBells(2.5).sample(50, rng=0)[0]


def as_mixture(theta):
    return GaussianMixture([0.5, 0.5], [[0.0], [theta]], [[[1.0]], [[1.0]]])


@pytest.mark.parametrize("theta", [-3.0, 0.0, 0.5, 4.0, 40.0])
def test_it_is_a_mixture(theta):
    bells, mixture = TwoBells(theta), as_mixture(theta)
    np.testing.assert_allclose(bells.log_prob(X), mixture.log_prob(X), rtol=1e-12)
    q = bells.infer(X)
    np.testing.assert_allclose(q.probs, mixture.infer(X).probs, rtol=1e-9, atol=1e-300)
    ours, theirs = bells.expect(X, q), mixture.expect(X, mixture.infer(X))
    assert bells.lower_bound(ours) == pytest.approx(mixture.lower_bound(theirs), rel=1e-12)
    assert bells.learn(ours).theta == pytest.approx(mixture.learn(theirs).means[1, 0], rel=1e-9)


def test_learning_is_where_the_gradient_of_the_bound_vanishes():
    rng = np.random.default_rng(0)
    q = Categorical(rng.dirichlet([1, 1], size=len(X)))
    new = TwoBells(1.0).learn(TwoBells(1.0).expect(X, q))
    theta = torch.tensor(new.theta, dtype=torch.float64, requires_grad=True)
    x, r = torch.tensor(X[:, 0]), torch.tensor(q.probs)
    bells = [torch.distributions.Normal(m, 1.0).log_prob(x) for m in (torch.zeros(()), theta)]
    bound = (r * (torch.stack(bells, 1) + np.log(0.5) - torch.log(r))).sum()
    (gradient,) = torch.autograd.grad(bound, theta)
    assert abs(gradient) < 1e-10
    assert new.lower_bound(new.expect(X, q)) == pytest.approx(bound.item(), rel=1e-7)


def test_a_sample_is_recovered_within_its_standard_error():
    x, z = TwoBells(3.0).sample(4000, rng=1)
    fit = em.fit(TwoBells.init(x, rng=0), x, tol=1e-12)
    # No better than if every z were known; overlap costs less than half as much again.
    assert abs(fit.model.theta - 3.0) < 4 * 1.5 / np.sqrt((z == 1).sum())


def test_a_bell_that_claims_nothing_says_so():
    stats = TwoBells(1.0).expect(X, Categorical(np.tile([1.0, 0.0], (len(X), 1))))
    with pytest.raises(ValueError, match="claims no data; start it nearer"):
        TwoBells(1.0).learn(stats)


@pytest.mark.equation("rate")
@pytest.mark.parametrize("theta", [1.0, 2.0, 4.0])
def test_near_the_maximum_each_iteration_leaves_the_missing_share_of_the_information(theta):
    x = TwoBells(theta).sample(500, rng=1)[0]
    top = em.fit(TwoBells(theta), x, tol=0, max_iter=300).model.theta
    r, h = TwoBells(top).infer(x).probs[:, 1], 1e-4
    missing, complete = (r * (1 - r) * (x[:, 0] - top) ** 2).sum(), r.sum()
    values = [TwoBells(top + d).log_prob(x).sum() for d in (-h, 0.0, h)]
    observed = -(values[0] - 2 * values[1] + values[2]) / h**2
    assert missing / complete == pytest.approx(1 - observed / complete, abs=1e-5)
    start = TwoBells(top + 1e-4)
    new = start.learn(start.expect(x, start.infer(x))).theta
    assert (new - top) / 1e-4 == pytest.approx(missing / complete, rel=1e-3)
