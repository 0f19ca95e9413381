"""Measures of what a model is worth, on cases whose answer is known."""

import itertools

import numpy as np
import pytest
import torch
from deep import conditional
from scipy.special import gammaln, logsumexp
from scipy.stats import multivariate_t
from sklearn.linear_model import Ridge

from lfm import data, em
from lfm.engine import constants
from lfm.evaluation import (
    active_units,
    attribute_control,
    dci,
    few_label_accuracy,
    gaps,
    kl_split,
    log_likelihood,
    log_prob_on_a_grid,
    match_factors,
    mutual_information,
    mutual_information_gap,
    neighbour_score,
    reconstruct,
    sampled_evidence,
)
from lfm.factor_analysis import FactorAnalysis
from lfm.vae import VAE, FullGaussian, SharedGaussian, linear_vae, mlp, standard_normal_kl
from lfm.variational_bayes import BayesianMixture, MixturePrior

RNG = np.random.default_rng(0)
LABELS = RNG.integers(4, size=400)


def test_separable_classes_are_learned_from_one_label_each():
    x = np.eye(4)[LABELS] + 1e-3 * RNG.normal(size=(400, 4))
    assert few_label_accuracy(x, LABELS, 4, rng=0) == 1.0


def test_noise_is_learned_by_chance_alone():
    x = RNG.normal(size=(400, 5))
    found = np.mean([few_label_accuracy(x, LABELS, 40, rng=s) for s in range(20)])
    assert found == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_it_is_least_squares_on_the_labelled_data(ridge):
    x = np.eye(4)[LABELS] @ RNG.normal(size=(4, 6)) + RNG.normal(size=(400, 6))
    found = few_label_accuracy(x, LABELS, 60, rng=5, ridge=ridge)
    order = np.random.default_rng(5).permutation(400)
    train = np.concatenate([order[LABELS[order] == k][:15] for k in range(4)])
    test = np.setdiff1d(order, train)
    peer = Ridge(max(ridge, 1e-9)).fit(x[train], np.eye(4)[LABELS[train]])
    expected = (peer.predict(x[test]).argmax(1) == LABELS[test]).mean()
    assert found == pytest.approx(expected, abs=1e-12)


def test_factors_are_matched_whatever_their_order_sign_and_scale():
    truth = RNG.normal(size=(300, 4))
    order, sign = np.array([2, 0, 3, 1]), np.array([1, -1, -1, 1])
    found = np.column_stack([3 * sign * truth[:, order] + 7, RNG.normal(size=(300, 2))])
    match = match_factors(found, truth)
    np.testing.assert_array_equal(order[match.order], np.arange(4))
    np.testing.assert_allclose(match.correlation, sign[match.order])


def test_matching_is_the_best_of_all():
    found, truth = RNG.normal(size=(30, 5)), RNG.normal(size=(30, 3))
    table = np.corrcoef(found.T, truth.T)[:5, 5:]
    best = max(
        itertools.permutations(range(5), 3), key=lambda p: np.abs(table[list(p), range(3)]).sum()
    )
    match = match_factors(found, truth)
    np.testing.assert_array_equal(match.order, best)
    np.testing.assert_allclose(match.correlation, table[list(best), range(3)])


def test_what_does_not_vary_matches_nothing():
    truth = RNG.normal(size=(30, 2))
    match = match_factors(np.column_stack([np.ones(30), truth[:, 1]]), truth)
    np.testing.assert_allclose(match.correlation, [0, 1], atol=1e-12)


# ------------------------------------------------------------------ the evidence of a mixture

SKEWED = MixturePrior(0.7, [0.5, -1.0], 0.4, 3.5, [[2.0, 0.5], [0.5, 1.0]])
IN_ONE_DIMENSION = MixturePrior(2.0, [0.3], 1.5, 1.2, [[0.8]])


def log_evidence_of_one(x, prior):
    """Return ln p(X) of one component: datum by datum, each given those before."""
    mean, beta, dof, scale, total = prior.mean, prior.strength, prior.dof, prior.scale, 0.0
    for new in x:
        df = dof + 1 - len(new)
        total += multivariate_t(mean, scale * (1 + beta) / (beta * df), df).logpdf(new)
        gap = new - mean
        scale = scale + beta / (beta + 1) * np.outer(gap, gap)
        mean, beta, dof = mean + gap / (beta + 1), beta + 1, dof + 1
    return total


def log_evidence_of_all(x, k, prior):
    """Return ln p(X) of k components, by a sum over all labels."""
    terms = []
    for labels in itertools.product(range(k), repeat=len(x)):
        parts = [np.array(labels) == j for j in range(k)]
        alpha = prior.concentration + np.sum(parts, axis=1)
        log_labels = gammaln(alpha).sum() - gammaln(alpha.sum())
        terms.append(log_labels + sum(log_evidence_of_one(x[part], prior) for part in parts))
    alpha = np.full(k, prior.concentration)
    return logsumexp(terms) + gammaln(alpha.sum()) - gammaln(alpha).sum()


@pytest.mark.parametrize("prior", [SKEWED, IN_ONE_DIMENSION])
def test_the_evidence_of_one_component_is_exact_with_any_particles(prior):
    x = RNG.normal(size=(60, len(prior.mean)))
    exact = log_evidence_of_one(x, prior)
    assert sampled_evidence(x, 1, prior, rng=0, particles=2) == pytest.approx(exact, abs=1e-9)
    bound = em.fit(BayesianMixture.init(x, 1, rng=0, prior=prior), x).bounds[-1]
    assert bound == pytest.approx(exact, abs=1e-9)  # q is the posterior


@pytest.mark.parametrize("prior", [SKEWED, IN_ONE_DIMENSION])
def test_the_sampled_evidence_is_right_on_average(prior):
    x = 2 * RNG.normal(size=(5, len(prior.mean)))
    exact = log_evidence_of_all(x, 3, prior)
    one = [sampled_evidence(x, 3, prior, rng=i, particles=1) for i in range(600)]
    ratio = np.exp(np.array(one) - exact)
    error = ratio.std() / np.sqrt(len(one))
    assert abs(ratio.mean() - 1) < 4 * error < 0.2
    assert sampled_evidence(x, 3, prior, rng=0, particles=20000) == pytest.approx(exact, abs=0.03)


# ------------------------------------------------------------------ deep models


def linear_model(spread=1.5):
    """A VAE that is probabilistic PCA; its q is the posterior, but for a spread that is off."""
    rng = np.random.default_rng(0)
    W, mu = rng.normal(size=(4, 2)), rng.normal(size=4)
    model = FactorAnalysis(W, mu, np.full(4, 0.3), isotropic=True)
    q = model.infer(np.zeros((1, 4)))
    encoder, decoder = mlp([4, 5], rng=0), mlp([2, 4], rng=0)
    vae = VAE(FullGaussian(encoder, 2, 0.0), SharedGaussian(decoder, 0.0), 2).double()
    L = spread * np.linalg.cholesky(q.cov)
    with torch.no_grad():
        encoder[0].weight.copy_(torch.tensor(np.vstack([q.weights, np.zeros((3, 4))])))
        encoder[0].bias.copy_(
            torch.tensor([*(-q.weights @ mu), *(2 * np.log(np.diag(L))), L[1, 0]])
        )
        decoder[0].weight.copy_(torch.tensor(W))
        decoder[0].bias.copy_(torch.tensor(mu))
        vae.decoder.log_var.fill_(np.log(0.3))
    return vae, model


def test_log_likelihood_is_that_of_the_exact_model():
    vae, model = linear_model()
    x, _ = model.sample(50, rng=1)
    found = log_likelihood(vae, x, 20_000, rng=0)
    np.testing.assert_allclose(found, model.log_prob(x), atol=0.05)
    few = np.mean([log_likelihood(vae, x, 3, rng=s).mean() for s in range(100)])
    one = np.mean([log_likelihood(vae, x, 1, rng=s).mean() for s in range(100)])
    assert one < few < model.log_prob(x).mean()
    exact, _ = linear_model(spread=1.0)  # then a single weight is p(x)
    np.testing.assert_allclose(log_likelihood(exact, x, 1, rng=0), model.log_prob(x), rtol=1e-9)


def test_chunks_of_samples_add_up_inside_the_log(monkeypatch):
    vae, model = linear_model()
    x, _ = model.sample(5, rng=1)
    monkeypatch.setattr(constants, "LAYER_NUMBERS", 80)  # four samples at a time
    found = log_likelihood(vae, x, 4000, rng=0)
    np.testing.assert_allclose(found, model.log_prob(x), atol=0.1)


def test_a_factor_that_says_nothing_is_not_active():
    vae, model = linear_model()
    x, _ = model.sample(200, rng=1)
    assert active_units(vae, x).tolist() == [True, True]
    with torch.no_grad():
        vae.encoder.network[0].weight[1] = 0  # the second mean no longer looks at the data
    assert active_units(vae, x).tolist() == [True, False]
    spread = vae.infer(x).mean[:, 0].detach().numpy().var()
    assert not active_units(vae, x, threshold=1.01 * spread)[0]
    assert active_units(vae, x, threshold=0.99 * spread)[0]


def test_a_reconstruction_is_the_mean_at_the_mean():
    vae, model = linear_model()
    x, _ = model.sample(20, rng=1)
    expected = model.infer(x).mean(x) @ model.loadings.T + model.mean
    np.testing.assert_allclose(reconstruct(vae, x), expected, rtol=1e-9)


def test_a_grid_gives_the_log_likelihood_of_the_exact_model():
    vae, model = linear_model()
    x, _ = model.sample(30, rng=1)
    np.testing.assert_allclose(log_prob_on_a_grid(vae, x), model.log_prob(x), atol=1e-6)
    assert (log_prob_on_a_grid(vae, x, reach=0.5) < model.log_prob(x)).all()  # a part of the sum
    one = VAE.dense(3, 1, (8,), rng=0, decoder=SharedGaussian).double()
    y = one.sample(10, rng=0)[0].numpy()
    np.testing.assert_allclose(
        log_prob_on_a_grid(one, y, points=2001), log_likelihood(one, y, 200_000, rng=0), atol=0.05
    )
    with pytest.raises(ValueError, match="vae has 3 factors; wanted 1 or 2"):
        log_prob_on_a_grid(VAE.dense(3, 3, rng=0), y)


@pytest.mark.equation("two-gaps")
@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_both_gaps_are_those_of_the_closed_forms(spread):
    """The network's q has the posterior's covariance times spread²; the posterior is correlated."""
    vae, model = linear_model(spread)
    x, _ = model.sample(20, rng=1)
    G = model.infer(x).cov
    P = np.linalg.inv(G)
    product = 0.5 * (np.log(np.diag(P)).sum() - np.linalg.slogdet(P)[1])  # the best diagonal q
    network = 0.5 * (2 * spread**2 - 2 - 4 * np.log(spread))  # KL of two Gaussians of equal mean
    full = gaps(vae, x, rng=0, full=True, steps=1000, n_samples=20_000)
    np.testing.assert_allclose(full.log_prob, model.log_prob(x), atol=1e-6)
    assert full.approximation.mean() == pytest.approx(0, abs=0.01)
    assert full.amortisation.mean() == pytest.approx(network, abs=0.02)
    diagonal = gaps(vae, x, rng=0, steps=1000, n_samples=20_000)
    assert diagonal.approximation.mean() == pytest.approx(product, abs=0.02)
    total = full.log_prob - full.network
    np.testing.assert_allclose(full.approximation + full.amortisation, total)


@pytest.mark.equation("importance-bound")
def test_the_bound_of_more_samples_is_higher_and_below_the_log_likelihood():
    vae, model = linear_model(2.0)
    x, _ = model.sample(50, rng=1)
    sizes, repeats = (1, 2, 5, 20), 400
    runs = [[log_likelihood(vae, x, s, rng=r).mean() for r in range(repeats)] for s in sizes]
    means, errors = np.mean(runs, axis=1), np.std(runs, axis=1) / np.sqrt(repeats)
    assert (np.diff(means) > 4 * np.hypot(errors[1:], errors[:-1])).all()
    assert means[-1] < model.log_prob(x).mean()
    network = 0.5 * (2 * 4 - 2 - 4 * np.log(2))
    assert means[0] == pytest.approx(model.log_prob(x).mean() - network, abs=5 * errors[0])


@pytest.mark.equation("linear-vae")
def test_a_linear_vae_is_probabilistic_pca_and_trains_to_its_optimum():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 1)) @ rng.normal(size=(1, 4)) * 1.5 + 0.5 * rng.normal(size=(300, 4))
    closed = FactorAnalysis.ppca(x, 1)
    vae = linear_vae(4, 1, rng=0)
    optimiser, data = torch.optim.Adam(vae.parameters()), torch.tensor(x)
    generator = torch.Generator().manual_seed(0)
    for t in range(2500):
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - t / 2500)
        optimiser.zero_grad()
        eps = torch.randn(8, 300, 1, generator=generator, dtype=torch.float64)
        vae.loss(data, eps).backward()
        optimiser.step()
    decoder, var = vae.decoder.network[0], vae.decoder.log_var.exp().item()
    W, mu = decoder.weight.detach().numpy(), decoder.bias.detach().numpy()
    model = FactorAnalysis(W, mu, np.full(4, var), isotropic=True)
    np.testing.assert_allclose(log_prob_on_a_grid(vae, x[:20]), model.log_prob(x[:20]), atol=1e-6)
    assert closed.log_prob(x).mean() - model.log_prob(x).mean() < 1e-3
    assert var == pytest.approx(closed.noise[0], rel=0.01)
    bound = log_likelihood(vae, x, 1000, rng=0).mean()
    assert bound == pytest.approx(closed.log_prob(x).mean(), abs=1e-3)


@pytest.mark.equation("beta-bound")
def test_the_parts_of_the_divergence_are_those_of_known_codes():
    vae = VAE.dense(3, 2, (4,), rng=0).double()
    encoder = vae.encoder.network = mlp([3, 4], rng=0).double()[0]
    x = RNG.normal(size=(1500, 3))

    def split(weights, log_var):
        with torch.no_grad():
            encoder.weight.zero_()
            encoder.weight[:2] = torch.tensor(weights)
            encoder.bias.copy_(torch.tensor([0.0, 0.0, log_var, log_var], dtype=torch.float64))
        parts = kl_split(vae, x, rng=0)
        mean = standard_normal_kl(vae.infer(x)).mean().item()
        assert sum(parts) == pytest.approx(mean, abs=0.15)
        return parts

    nothing = split([[0.0] * 3] * 2, 0.0)  # q is the prior
    np.testing.assert_allclose(nothing, 0, atol=0.02)
    # q(z) is N(0, 1) in each code: the information is that of a Gaussian channel
    apart = split([[0.8, 0.0, 0.0], [0.0, 0.8, 0.0]], np.log(0.36))
    assert apart.mutual_information == pytest.approx(-np.log(0.36), abs=0.1)
    assert apart.total_correlation == pytest.approx(0, abs=0.1)
    assert apart.dimension_wise == pytest.approx(0, abs=0.05)
    # both codes say the same: correlated by 0.64
    same = split([[0.8, 0.0, 0.0], [0.8, 0.0, 0.0]], np.log(0.36))
    assert same.total_correlation == pytest.approx(-0.5 * np.log(1 - 0.64**2), abs=0.1)
    with pytest.raises(ValueError, match="encoder with a full covariance"):
        kl_split(VAE.dense(3, 2, rng=0, encoder=FullGaussian), x, rng=0)


# ------------------------------------------------------------------ what factors mean

FACTORS = np.column_stack([RNG.uniform(-1, 1, (4000, 3)), RNG.integers(2, size=4000)])
ROTATION = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
PERFECT = FACTORS[:, [2, 0, 3, 1]] * [1, -3, 0.1, 7] + [0, 5, -2, 1]
# codes, and what is known of: disentanglement, completeness, informativeness, gap (low, high)
KNOWN = {
    "perfect": (PERFECT, (0.99, 1), (0.99, 1), (0.999, 1), (0.95, 1)),
    "random": (RNG.normal(size=(4000, 4)), (0, 0.6), (0, 0.6), (0, 0.01), (0, 0.01)),
    "rotated": (FACTORS / FACTORS.std(0) @ ROTATION, (0, 0.4), (0, 0.4), (0.999, 1), (0, 0.3)),
    "twice": (np.hstack([PERFECT, PERFECT]), (0.99, 1), (0.6, 0.7), (0.999, 1), (0, 0.001)),
    "with constants": (
        np.hstack([PERFECT, np.ones((4000, 2))]), (0.99, 1), (0.99, 1), (0.999, 1), (0.95, 1)
    ),
    "one missing": (PERFECT[:, :3], (0.9, 1), (0.9, 1), (0.74, 0.76), (0.7, 0.76)),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_scores_of_codes_whose_answer_is_known(name):
    codes, *ranges = KNOWN[name]
    found = (*dci(codes, FACTORS)[:3], mutual_information_gap(codes, FACTORS))
    for value, (low, high) in zip(found, ranges, strict=True):
        assert low <= value <= high + 1e-12


def test_scores_do_not_depend_on_order_or_scale_of_codes():
    codes = FACTORS / FACTORS.std(0) @ ROTATION
    moved = codes[:, [3, 1, 0, 2]] * [2, -1, 10, 0.1] + 3
    np.testing.assert_allclose(dci(codes, FACTORS)[:3], dci(moved, FACTORS)[:3], rtol=1e-9)
    assert mutual_information_gap(np.exp(codes), FACTORS) == pytest.approx(
        mutual_information_gap(codes, FACTORS), abs=1e-12
    )


def test_information_is_that_of_a_gaussian_and_of_tables():
    rho = 0.8
    a = RNG.normal(size=100_000)
    b = rho * a + np.sqrt(1 - rho**2) * RNG.normal(size=100_000)
    found = mutual_information(a[:, None], b[:, None], bins=30)[0, 0]
    assert found == pytest.approx(-0.5 * np.log(1 - rho**2), rel=0.05)
    coin = RNG.integers(2, size=(10_000, 1)).astype(float)
    p = coin.mean()
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert mutual_information(coin, 5 - coin)[0, 0] == pytest.approx(entropy)


def test_importance_says_which_code_is_of_which_factor():
    importance = dci(PERFECT, FACTORS).importance
    np.testing.assert_array_equal(importance.argmax(axis=0), [1, 3, 0, 2])
    np.testing.assert_allclose(importance.max(axis=0), 1, rtol=1e-6)


REAL = RNG.normal(size=(300, 6))  # "images" in which two attributes can be read
SHOWN = REAL @ RNG.normal(size=(6, 2))


def test_images_that_show_what_was_ordered_obey_and_others_do_not():
    obeyed = attribute_control(REAL[:100], SHOWN[:100], REAL[100:], SHOWN[100:])
    np.testing.assert_allclose(obeyed.r2, 1)
    np.testing.assert_array_equal(obeyed.success, 1)
    ignored = attribute_control(REAL[:100], RNG.permutation(SHOWN[:100]), REAL[100:], SHOWN[100:])
    assert (ignored.r2 < 0).all()
    assert (ignored.success < 0.5).all()


def test_success_is_the_share_within_the_tolerance():
    ordered = SHOWN[:100].copy()
    ordered[:30, 0] += 0.4  # a third of the images miss the first attribute by that much
    strict, loose = (
        attribute_control(REAL[:100], ordered, REAL[100:], SHOWN[100:], tolerance=t).success
        for t in (0.3, 0.5)
    )
    np.testing.assert_allclose(strict, [0.7, 1])
    np.testing.assert_allclose(loose, [1, 1])


def test_neighbours_of_separate_classes_are_alike_and_of_noise_by_chance():
    labels = RNG.integers(4, size=1000)
    assert neighbour_score(np.eye(4)[labels] + 0.01 * RNG.normal(size=(1000, 4)), labels) == 1
    assert neighbour_score(RNG.normal(size=(1000, 2)), labels) == pytest.approx(0.25, abs=0.03)
    line = np.arange(10.0)[:, None]
    assert neighbour_score(line, np.arange(10) // 5, n_neighbours=1) >= 0.8


def test_factors_that_vary_in_the_first_half_alone_are_named():
    x = np.repeat([[1.0, 2.0], [0.0, 0.0]], [6, 6], axis=0)
    x[0] = [3.0, -1.0]
    with pytest.raises(ValueError, match="factors do not vary in the second half"):
        dci(x, x)


def test_a_judge_of_bytes_judges_grey_values():
    images = data.mnist().images[:2000:20].reshape(-1, 784)
    orders = np.random.default_rng(0).normal(size=(100, 2))
    both = [attribute_control(images / 255, orders, judge, orders).r2 for judge in
            (images / 255, images)]  # fmt: skip
    np.testing.assert_allclose(*both)


@pytest.mark.parametrize("offset", [0.0, 5000.0])
def test_scores_of_float32_codes_are_those_of_the_same_numbers(offset):
    rng = np.random.default_rng(0)
    truth, labels = rng.normal(size=(3000, 2)), rng.integers(3, size=3000)
    codes = (truth + 0.1 * rng.normal(size=truth.shape) + offset).astype(np.float32)
    for score in (
        lambda z: dci(z, truth)[:3],
        lambda z: dci(truth, z)[:3],
        lambda z: mutual_information_gap(z, truth),
        lambda z: match_factors(z, truth).correlation,
        lambda z: few_label_accuracy(z, labels, 60, rng=0),
        lambda z: neighbour_score(z, labels),
        lambda z: attribute_control(z, truth, z, truth).r2,
    ):
        np.testing.assert_array_equal(score(codes), score(codes.astype(float)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_factors_that_do_not_vary_are_left_out(dtype):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(2000, 3)).astype(dtype)
    for constant in (0.0, 1.9, 123.456, -1e-20, 1e20):
        factors = np.column_stack([codes[:, :2], np.full(2000, constant, dtype)])
        found = dci(codes, factors)
        np.testing.assert_allclose(found[:3], (1, 1, 1), atol=1e-6)
        assert (found.importance[:, 2] == 0).all()
        np.testing.assert_allclose(mutual_information_gap(codes, factors),
                                   mutual_information_gap(codes, codes[:, :2]))  # fmt: skip
        assert abs(match_factors(codes, factors).correlation[2]) == 0
        with pytest.raises(ValueError, match="ordered has an attribute of one value only"):
            attribute_control(codes, factors, codes, factors)


def test_codes_that_tie_give_what_the_docstrings_say():
    rng = np.random.default_rng(0)
    truth, labels = rng.normal(size=(600, 2)), rng.integers(3, size=600)
    constant, twice = np.full((600, 2), 1.9), np.hstack([truth, truth])
    few = rng.integers(3, size=(600, 2)).astype(float)
    assert dci(constant, truth)[:3] == (0, 0, 0)
    assert mutual_information_gap(constant, truth) == 0
    assert (mutual_information(constant, truth) == 0).all()
    assert mutual_information_gap(twice, truth) == 0
    np.testing.assert_allclose(dci(twice, truth).informativeness, 1)
    np.testing.assert_allclose(mutual_information_gap(few, few), 1, atol=0.02)
    for codes in (constant, few, np.repeat(truth[:60], 10, axis=0)):
        order = rng.permutation(600)  # nothing depends on the order in which equal data come
        scores = neighbour_score(codes, labels), neighbour_score(codes[order], labels[order])
        np.testing.assert_allclose(*scores, rtol=1e-12)
    share = np.mean([(labels == k).sum() - 1 for k in labels]) / 599
    np.testing.assert_allclose(neighbour_score(constant, labels), share)  # any other datum
    switched = (rng.random(2000) < 0.03).astype(float)  # a code that is 0 for almost all data
    code = switched * (1 + rng.random(2000))
    found = mutual_information(np.column_stack([code, -code]), switched[:, None])
    entropy = mutual_information(switched[:, None], switched[:, None])
    np.testing.assert_allclose(found, np.tile(entropy, (2, 1)), rtol=1e-9)
    bad = truth.copy()
    bad[7, 1] = np.nan
    for score in (
        lambda z: dci(z, truth),
        lambda z: neighbour_score(z, labels),
        lambda z: mutual_information(z, truth),
        lambda z: match_factors(z, truth),
    ):
        with pytest.raises(ValueError, match=r"has 1 values that are not finite"):
            score(bad)
    with pytest.raises(ValueError, match="labels has 600 values that are not finite"):
        neighbour_score(truth, np.full(600, np.nan))


@pytest.mark.parametrize("kind", [np.exp, np.cbrt, lambda z: 1e9 + 3 * z])
def test_information_is_the_same_for_any_increasing_transformation(kind):
    rng = np.random.default_rng(1)
    codes, truth = rng.integers(40, size=(500, 2)) / 7, rng.normal(size=(500, 2))
    np.testing.assert_array_equal(
        mutual_information(kind(codes), truth), mutual_information(codes, truth)
    )


def test_every_score_takes_a_conditional_vae():
    rng = np.random.default_rng(0)
    x = np.hstack([rng.random((30, 8)) < 0.5, rng.normal(size=(30, 2))])
    vae = conditional()
    assert reconstruct(vae, x).shape == (30, 8)
    assert np.isfinite(kl_split(vae, x, rng=0)).all()
    found = gaps(vae, x, rng=0, steps=30, n_samples=500)
    by_samples = log_likelihood(vae, x, 5000, rng=0)
    np.testing.assert_allclose(found.log_prob, by_samples, atol=0.05)
    assert (found.network <= found.log_prob + 0.1).all()


@pytest.mark.parametrize("value", [34.6, 123.456, 271.3, 650.1, 999.9])
def test_a_constant_factor_of_many_data_is_left_out(value):
    z = np.random.default_rng(0).normal(size=(200_000, 2))
    score = dci(z, np.column_stack([z, np.full(len(z), value)]))
    np.testing.assert_array_equal(score.importance[:, 2], 0)
    assert score.disentanglement == pytest.approx(dci(z, z).disentanglement)
