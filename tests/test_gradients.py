"""Gradients through samples against autograd, closed forms, and their own standard errors."""

import itertools
from math import exp, pi, sqrt

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from lfm.gradients import (
    leave_one_out,
    minibatch_sum,
    monte_carlo,
    pathwise_gradient,
    sample,
    score_gradient,
)

MEAN = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
STD = torch.tensor([0.8, 1.5, 0.4], dtype=torch.float64)
FACTOR = torch.tensor([[0.9, 0, 0], [0.4, 0.7, 0], [-0.6, 0.3, 1.1]], dtype=torch.float64)
A = torch.tensor([[1.0, 0.3, -0.2], [0.3, 2.0, 0.5], [-0.2, 0.5, -0.7]], dtype=torch.float64)

SCALES = pytest.mark.parametrize("scale", [STD, FACTOR], ids=["diagonal", "full"])
ESTIMATORS = pytest.mark.parametrize(
    "estimator",
    [
        pathwise_gradient,
        score_gradient,
        lambda *args: score_gradient(*args, baseline=leave_one_out),
        lambda *args: score_gradient(*args, baseline=lambda values: 2.5),
    ],
    ids=["path", "score", "leave one out", "constant"],
)


def noise(n, k=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, k))


def quadratic(z):
    return (z @ A * z).sum(1)


def exponential(z):
    return torch.exp(0.3 * z).sum(1)


def waves(z):
    return torch.sin(z).sum(1)


def exact(f, mean, scale):
    """The gradient of the closed form of E[f], by autograd."""
    mean, scale = mean.clone().requires_grad_(), scale.clone().requires_grad_()
    L = torch.diag(scale) if scale.ndim == 1 else scale
    cov = L @ L.T
    var = cov.diagonal()
    value = {
        quadratic: lambda: mean @ A @ mean + (A * cov).sum(),
        exponential: lambda: torch.exp(0.3 * mean + 0.045 * var).sum(),
        waves: lambda: (torch.sin(mean) * torch.exp(-var / 2)).sum(),
    }[f]()
    g_mean, g_scale = torch.autograd.grad(value, [mean, scale])
    return g_mean, torch.tril(g_scale) if scale.ndim == 2 else g_scale


def assert_unbiased(gradient, expected):
    for values, wanted in zip(gradient, expected, strict=True):
        value, error = monte_carlo(values)
        free = error > 0  # above the diagonal of a factor all is exactly 0
        assert ((value - wanted)[free].abs() < 4.5 * error[free]).all()
        np.testing.assert_array_equal(value[~free], wanted[~free])


# ------------------------------------------------------------------ averages


@pytest.mark.equation("monte-carlo")
def test_average_is_unbiased_and_its_error_falls_like_the_root_of_samples():
    errors = {}
    for n in (100, 10_000):
        repeats = [quadratic(sample(MEAN, STD, noise(n, seed=i))) for i in range(200)]
        values = torch.stack([monte_carlo(v).value for v in repeats])
        stated = torch.stack([monte_carlo(v).error for v in repeats]).mean()
        expected = MEAN @ A @ MEAN + A.diagonal() @ STD**2
        assert abs(values.mean() - expected) < 4 * values.std() / sqrt(200)
        errors[n] = values.std().item()
        assert stated.item() == pytest.approx(errors[n], rel=0.2)  # a deviation of 200: 5 %
    assert errors[100] / errors[10_000] == pytest.approx(10, rel=0.3)


def test_average_of_arrays_is_taken_over_samples():
    values = np.arange(24.0).reshape(4, 3, 2)
    estimate = monte_carlo(values)
    np.testing.assert_allclose(estimate.value, values.mean(axis=0))
    np.testing.assert_allclose(estimate.error, values.std(axis=0, ddof=1) / 2)


@SCALES
@pytest.mark.equation("reparametrisation")
def test_samples_have_the_mean_and_covariance_of_q(scale):
    z = sample(MEAN, scale, noise(400_000)).numpy()
    L = np.diag(scale) if scale.ndim == 1 else scale.numpy()
    cov = L @ L.T
    var = np.diag(cov)
    errors = np.sqrt((cov**2 + np.outer(var, var)) / len(z))  # of a covariance
    assert (np.abs(np.cov(z.T) - cov) < 4.5 * errors).all()
    assert (np.abs(z.mean(axis=0) - MEAN.numpy()) < 4.5 * np.sqrt(var / len(z))).all()
    eps = noise(1)
    np.testing.assert_allclose(sample(MEAN, scale, eps)[0], MEAN.numpy() + L @ eps[0])


# ------------------------------------------------------------------ both estimators


@SCALES
@pytest.mark.equation("score-gradient")
def test_score_is_the_gradient_of_log_density(scale):
    eps, f = noise(7), waves
    g = score_gradient(f, MEAN, scale, eps)
    for s, z in enumerate(sample(MEAN, scale, eps)):
        mean, factor = MEAN.clone().requires_grad_(), scale.clone().requires_grad_()
        if scale.ndim == 1:
            log_q = Normal(mean, factor).log_prob(z).sum()
        else:
            log_q = MultivariateNormal(mean, scale_tril=factor).log_prob(z)
        by_mean, by_scale = torch.autograd.grad(log_q, [mean, factor])
        if scale.ndim == 2:
            by_scale = by_scale.tril()
        value = f(z[None])[0]
        np.testing.assert_allclose(g.mean[s], value * by_mean, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(g.scale[s], value * by_scale, rtol=1e-10, atol=1e-13)


@SCALES
@pytest.mark.equation("pathwise-gradient")
def test_path_is_the_gradient_through_the_sample(scale):
    eps = torch.tensor(noise(7))
    g = pathwise_gradient(waves, MEAN, scale, eps)
    for s in range(7):
        mean, factor = MEAN.clone().requires_grad_(), scale.clone().requires_grad_()
        z = mean + (factor * eps[s] if scale.ndim == 1 else torch.tril(factor) @ eps[s])
        by_mean, by_scale = torch.autograd.grad(waves(z[None])[0], [mean, factor])
        np.testing.assert_allclose(g.mean[s], by_mean, rtol=1e-12)
        np.testing.assert_allclose(g.scale[s], by_scale, rtol=1e-12)


@ESTIMATORS
@SCALES
@pytest.mark.parametrize("f", [quadratic, exponential, waves])
def test_estimates_are_unbiased(estimator, scale, f):
    # With leave-one-out the samples of one call share a baseline, so that their spread is not
    # quite the standard error; with 40,000 the difference is one in 40,000.
    g = estimator(f, MEAN, scale, noise(40_000, seed=5))
    assert_unbiased(g, exact(f, MEAN, scale))
    for average, values in zip(g.average(), g, strict=True):
        np.testing.assert_allclose(average, values.mean(0))


def test_own_value_in_the_baseline_loses_its_share_of_the_gradient():
    def f(z):
        return 3 + z.square().sum(1)

    n, wanted = 4, 2 * MEAN
    groups = noise(40_000).reshape(-1, n, 3)
    for baseline, share in ((torch.mean, 1 - 1 / n), (leave_one_out, 1.0)):
        averages = [
            score_gradient(f, MEAN, STD, eps, baseline=baseline).average().mean for eps in groups
        ]
        value, error = monte_carlo(torch.stack(averages))
        assert ((value - share * wanted).abs() < 4.5 * error).all()
        assert ((value - wanted).abs()[0] < 5 * error[0]) == (share == 1)


def test_leave_one_out_is_the_mean_of_the_others():
    values = torch.tensor([3.0, 1.0, 7.0, 2.0], dtype=torch.float64)
    expected = [values[[t for t in range(4) if t != s]].mean() for s in range(4)]
    np.testing.assert_allclose(leave_one_out(values), expected)


@SCALES
@pytest.mark.equation("self-score")
def test_of_an_average_of_ln_q_only_the_path_through_z_counts(scale):
    factor = torch.diag(scale) if scale.ndim == 1 else scale
    q = MultivariateNormal(MEAN, scale_tril=factor)  # what f holds of φ stands still
    g = pathwise_gradient(q.log_prob, MEAN, scale, noise(40_000, seed=6))
    entropy = scale.clone().requires_grad_()
    diagonal = entropy if scale.ndim == 1 else entropy.diagonal()
    (slope,) = torch.autograd.grad(-diagonal.log().sum(), entropy)  # E[ln q] = -Σ ln L_kk + const
    assert_unbiased(g, (torch.zeros_like(MEAN), slope))
    ones = score_gradient(lambda z: torch.ones(len(z)), MEAN, scale, noise(40_000, seed=6))
    assert_unbiased(ones, (torch.zeros_like(MEAN), torch.zeros_like(scale)))


# ------------------------------------------------------------------ variance


def variance_of_first(estimator, f, k, std=1.0, **kwargs):
    g = estimator(f, np.full(k, 0.5), np.full(k, std), noise(20_000, k, seed=k), **kwargs)
    return g.mean[:, 0].var().item()


def test_variance_of_the_path_does_not_grow_with_dimension_and_that_of_the_score_does():
    def f(z):
        return z.square().sum(1)

    path, score, helped = (
        [variance_of_first(estimator, f, k, **kwargs) for k in (16, 128)]
        for estimator, kwargs in (
            (pathwise_gradient, {}),
            (score_gradient, {}),
            (score_gradient, {"baseline": leave_one_out}),
        )
    )
    assert path == pytest.approx([4, 4], rel=0.1)  # Var[2 z] = 4
    assert 30 < score[1] / score[0] < 70  # like the square of the dimension: 64
    assert 5 < helped[1] / helped[0] < 10  # like the dimension: 8
    assert path[1] < helped[1] / 50 < score[1] / 1000


def test_the_path_does_not_always_win():
    for std, low, high in ((0.5, 5, 100), (2.0, 0.1, 0.6)):
        ratio = variance_of_first(score_gradient, waves, 1, std) / variance_of_first(
            pathwise_gradient, waves, 1, std
        )
        assert low < ratio < high


def test_the_path_of_a_step_says_nothing_and_the_score_is_right():
    def step(z):
        return 0.5 + 0.5 * torch.sign(z[:, 0])

    args = step, [0.5], [1.0], noise(100_000, 1)
    assert (pathwise_gradient(*args).mean == 0).all()
    estimate = monte_carlo(score_gradient(*args).mean[:, 0])
    assert abs(estimate.value - exp(-0.125) / sqrt(2 * pi)) < 4.5 * estimate.error


def test_the_path_is_right_for_a_kink_and_wrong_for_a_function_that_climbs_without_a_slope():
    def kink(z):
        return z.abs().sum(1)  # Lipschitz: the integral of its slope

    def cantor(z):
        z, value, live = z[:, 0].clamp(0, 1), 0 * z[:, 0], 1.0  # 0 * z: slope 0 wherever it has one
        for k in range(1, 41):
            digit = (3 * z.detach()).floor().clamp(max=2)
            value, live = value + live * (digit > 0) / 2**k, live * (digit != 1)
            z = 3 * z.detach() - digit
        return value

    args = [0.5], [0.5], noise(100_000, 1)
    moved = monte_carlo(pathwise_gradient(kink, *args).mean[:, 0])
    assert abs(moved.value - (1 - 2 * 0.15865525)) < 4.5 * moved.error  # P(z > 0) - P(z < 0)
    assert (pathwise_gradient(cantor, *args).mean == 0).all()
    weighed = monte_carlo(score_gradient(cantor, *args).mean[:, 0])
    assert abs(weighed.value - 0.629) < 4.5 * weighed.error


# ------------------------------------------------------------------ batches


@pytest.mark.equation("minibatch")
def test_average_over_all_batches_is_the_sum_over_all_data():
    terms = torch.tensor(noise(6, 2))
    batches = list(itertools.combinations(range(6), 2))
    total = sum(minibatch_sum(terms[list(b)], 6) for b in batches) / len(batches)
    np.testing.assert_allclose(total, terms.sum(0), rtol=1e-12)
    np.testing.assert_allclose(minibatch_sum(terms, 6), terms.sum(0))


# ------------------------------------------------------------------ behaviour


@ESTIMATORS
@SCALES
def test_the_same_noise_gives_the_same_gradient_and_nothing_else_is_touched(estimator, scale):
    mean, scale, eps = MEAN.clone().requires_grad_(), scale.clone().requires_grad_(), noise(5)
    before, state = eps.copy(), torch.get_rng_state()
    first, second = (estimator(waves, mean, scale, eps) for _ in range(2))
    assert torch.equal(first.mean, second.mean)
    assert torch.equal(first.scale, second.scale)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(eps, before)
    assert mean.grad is None
    assert not first.mean.requires_grad
    assert not first.scale.requires_grad
    with torch.no_grad():
        assert torch.equal(estimator(waves, mean, scale, eps).mean, first.mean)


@SCALES
def test_shapes(scale):
    for estimator in (pathwise_gradient, score_gradient):
        g = estimator(quadratic, MEAN, scale, noise(5))
        assert g.mean.shape == (5, 3)
        assert g.scale.shape == (5, *scale.shape)
        if scale.ndim == 2:
            assert (g.scale.triu(1) == 0).all()


def test_arguments_of_any_number_type_are_taken_in_double_precision():
    eps = noise(4).astype(np.float32)
    exact = sample(MEAN, STD, eps.astype(float))
    for kind in (torch.tensor, lambda a: a, lambda a: a.tolist()):
        z = sample(MEAN.tolist(), STD.numpy(), kind(eps))
        assert z.dtype == torch.float64
        np.testing.assert_array_equal(z, exact)  # also from lists, which torch rounds
    whole = sample([1, 2], [1, 1], np.zeros((1, 2), dtype=int))
    assert whole.dtype == torch.float64
    assert monte_carlo([1, 2, 4]).value.item() == pytest.approx(7 / 3)
    assert leave_one_out(np.array([1, 2, 4])).tolist() == [3.0, 2.5, 1.5]
    assert minibatch_sum(np.array([1, 2]), 6).item() == 9.0


def test_rows_that_run_backwards_are_taken():
    eps = noise(5)[::-1]  # torch takes no array with negative strides
    np.testing.assert_allclose(sample(MEAN, STD, eps), sample(MEAN, STD, eps.copy()))


def test_a_function_of_z_that_looks_at_its_gradient_leaves_no_graph_behind():
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    g = score_gradient(lambda z: (z * weight).sum(1), MEAN, STD, noise(5))
    assert not g.mean.requires_grad
    assert weight.grad is None


def test_a_function_without_a_slope_is_refused_by_the_path_only():
    def rounded(z):
        return (z[:, 0] > 0).double()

    with pytest.raises(ValueError, match=r"f\(z\) has no gradient"):
        pathwise_gradient(rounded, MEAN, STD, noise(5))
    assert score_gradient(rounded, MEAN, STD, noise(5)).mean.isfinite().all()


BAD = {
    "mean 2-D": (lambda: sample([[0.0]], [1.0], [[0.0]]), r"mean has shape \(1, 1\)"),
    "mean empty": (lambda: sample([], [], np.zeros((2, 0))), r"mean has shape \(0,\)"),
    "mean NaN": (lambda: sample([np.nan], [1.0], [[0.0]]), "mean has values that are not finite"),
    "scale length": (lambda: sample([0.0], [1.0, 1.0], [[0.0]]), r"scale has shape \(2,\)"),
    "scale zero": (lambda: sample([0.0], [0.0], [[0.0]]), "scale has 0 on its diagonal"),
    "a covariance": (
        lambda: sample([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], [[0.0, 0.0]]),
        "scale is not lower triangular; wanted the Cholesky factor",
    ),
    "eps 1-D": (lambda: sample([0.0], [1.0], [0.0]), r"eps has shape \(1,\); wanted \(S, 1\)"),
    "eps width": (lambda: sample([0.0], [1.0], [[0.0, 1.0]]), r"eps has shape \(1, 2\)"),
    "no samples": (lambda: sample([0.0], [1.0], np.zeros((0, 1))), r"eps has shape \(0, 1\)"),
    "f scalar": (lambda: score_gradient(torch.sum, MEAN, STD, noise(4)), r"f returned \(\)"),
    "f number": (lambda: score_gradient(lambda z: 1.0, MEAN, STD, noise(4)), "f returned float"),
    "f NaN": (
        lambda: pathwise_gradient(lambda z: z.sum(1) * np.nan, MEAN, STD, noise(4)),
        "f returned values that are not finite",
    ),
    "scale tiny": (lambda: sample([0.0], [1e-310], [[0.0]]), "scale has 1e-310 on its diagonal"),
    "factor's diagonal": (
        lambda: sample([0.0, 0.0], [[1.0, 0.0], [0.5, -1.0]], [[0.0, 0.0]]),
        "scale has -1 on its diagonal",
    ),
    "scale 3-D": (lambda: sample([0.0], [[[1.0]]], [[0.0]]), r"scale has shape \(1, 1, 1\)"),
    "eps NaN": (lambda: sample([0.0], [1.0], [[np.nan]]), "eps has values that are not finite"),
    "one sample": (lambda: monte_carlo([1.0]), "wanted at least 2 samples"),
    "a number": (lambda: monte_carlo(1.0), r"values has shape \(\); wanted at least 2 samples"),
    "samples of nothing": (lambda: monte_carlo(np.zeros((3, 0))), r"values has shape \(3, 0\)"),
    "values too large": (lambda: monte_carlo([1e160, 0.0]), "values .*too large|too large"),
    "values NaN": (lambda: monte_carlo([np.nan, 0.0]), "values has values that are not finite"),
    "baseline NaN": (
        lambda: score_gradient(waves, MEAN, STD, noise(4), baseline=lambda values: np.nan),
        "what baseline returned has values that are not finite",
    ),
    "values 2-D": (lambda: leave_one_out([[1.0], [2.0]]), r"values has shape \(2, 1\)"),
    "a batch of nothing": (lambda: minibatch_sum([], 3), r"values has shape \(0,\); wanted \(B"),
    "a batch of a number": (lambda: minibatch_sum(1.0, 3), r"values has shape \(\); wanted \(B"),
    "one value": (lambda: leave_one_out([1.0]), "wanted at least 2 samples"),
    "batch larger": (lambda: minibatch_sum([1.0, 2.0], 1), "n is 1; wanted"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_named(what):
    call, message = BAD[what]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample(None, [1.0], [[0.0]]), "mean cannot be made a tensor"),
        (lambda: sample(["a"], [1.0], [[0.0]]), "mean cannot be made a tensor"),
        (lambda: sample([1j], [1.0], [[0.0]]), "mean holds complex values"),
        (lambda: sample([[0.0], [0.0, 1.0]], [1.0], [[0.0]]), "mean cannot be made a tensor"),
        (lambda: score_gradient(3, MEAN, STD, noise(4)), "f is int; wanted a function"),
        (lambda: pathwise_gradient(3, MEAN, STD, noise(4)), "f is int; wanted a function"),
        (
            lambda: score_gradient(waves, MEAN, STD, noise(4), baseline=3),
            "baseline is int; wanted a function of the values",
        ),
        (lambda: minibatch_sum([1.0, 2.0], 3.5), r"n is 3\.5 \(float\); wanted"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()
