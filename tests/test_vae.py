"""The VAE against quadrature, torch's own densities, finite differences, and its definition."""

import itertools
import math

import numpy as np
import pytest
import torch
from deep import DECODERS, ENCODERS, data_for, dense, each_pair, noise
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from lfm import vae as vae_module
from lfm.engine import constants
from lfm.factor_analysis import FactorAnalysis
from lfm.scale.architectures import build, spec
from lfm.vae import (
    VAE,
    BernoulliPixels,
    Conditional,
    ConditionalVAE,
    DiagonalGaussian,
    FullGaussian,
    SharedGaussian,
    conv_decoder,
    conv_encoder,
    draw,
    mlp,
    reparametrise,
    standard_normal_kl,
)

each_decoder = pytest.mark.parametrize("decoder", DECODERS)


def grid(points, reach=8.0):
    """A grid over z (points^K, K) for K = 2, and the area of its cells."""
    at = torch.linspace(-reach, reach, points, dtype=torch.float64)
    return torch.cartesian_prod(at, at), (at[1] - at[0]) ** 2


def log_joint_at(vae, points, x):
    """ln p(x_n, z) for points z (Z, K): (Z, N)."""
    log_prior = Normal(0.0, 1.0).log_prob(points).sum(1)
    return vae.likelihood(points[:, None]).log_prob(x) + log_prior[:, None]


# ------------------------------------------------------------------ densities


@pytest.mark.equation("deep-model")
def test_joint_density_integrates_to_the_density_of_the_samples():
    """In one dimension each: p(x) by quadrature against the histogram of what `sample` draws."""
    vae = dense(d=1, k=1)
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)[:, None]
    x = torch.linspace(-6, 6, 2401, dtype=torch.float64)[:, None]
    log_lik = vae.likelihood(z).log_prob(x[:, None])  # (X, Z)
    log_joint = log_lik + Normal(0.0, 1.0).log_prob(z[:, 0])
    p = torch.trapezoid(log_joint.exp(), z[:, 0], dim=1).detach()  # (X,)
    assert torch.trapezoid(p, x[:, 0]).item() == pytest.approx(1, abs=1e-4)
    drawn, latent = vae.sample(100_000, rng=0)
    assert drawn.shape == latent.shape == (100_000, 1)
    counts, edges = np.histogram(drawn.numpy(), bins=20, range=(-3, 3))
    cumulative = torch.cumulative_trapezoid(p, x[:, 0])
    at = np.interp(edges, x[1:, 0].numpy(), cumulative.numpy())
    expected = 100_000 * np.diff(at)
    used = expected > 20
    chi2 = ((counts - expected)[used] ** 2 / expected[used]).sum()
    assert chi2 < used.sum() + 5 * math.sqrt(2 * used.sum())


@pytest.mark.equation("gaussian-likelihood")
@pytest.mark.parametrize("decoder", [DiagonalGaussian, FullGaussian, SharedGaussian])
def test_gaussian_likelihood_is_its_formula_and_integrates_to_one(decoder):
    vae = dense(decoder=decoder, d=2)
    z = torch.tensor([[0.3, -0.8]], dtype=torch.float64)
    p = vae.likelihood(z)
    x = torch.tensor([0.2, 0.5], dtype=torch.float64)
    mean = p.mean[0]
    cov = p.covariance_matrix[0] if decoder is FullGaussian else torch.diag(p.variance[0])
    gap = x - mean
    expected = -0.5 * (2 * math.log(2 * math.pi) + cov.logdet() + gap @ cov.inverse() @ gap)
    assert p.log_prob(x).item() == pytest.approx(expected.item(), rel=1e-12)
    points, cell = grid(801, reach=12)
    assert (p.log_prob(points).exp().sum() * cell).item() == pytest.approx(1, abs=1e-6)


def test_probabilities_of_bits_sum_to_one():
    vae = dense(decoder=BernoulliPixels, d=4)
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64)
    log_p = vae.likelihood(torch.tensor([[1.0, -2.0]], dtype=torch.float64)).log_prob(x)
    assert log_p.exp().sum().item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("decoder", [DiagonalGaussian, FullGaussian, SharedGaussian])
def test_no_standard_deviation_is_below_the_floor_and_its_slope_is_never_cut(decoder):
    """However far down the network's output goes."""
    vae = dense(decoder=decoder, d=2)
    p = vae.likelihood(torch.zeros(1, 2))
    assert p.stddev.min() >= constants.STD_FLOOR
    log_var = torch.tensor([-60.0, -9.0, 3.0], dtype=torch.float64, requires_grad=True)
    std = vae_module._std(log_var, constants.STD_FLOOR)
    assert std[0].item() == pytest.approx(constants.STD_FLOOR, rel=1e-12)
    assert std[2].item() == pytest.approx(math.exp(1.5), rel=1e-4)
    std.sum().backward()
    assert (log_var.grad > 0).all()


# ------------------------------------------------------------------ divergences


@pytest.mark.equation("standard-normal-kl")
@pytest.mark.parametrize("encoder", ENCODERS)
def test_divergence_from_the_prior_is_torchs_and_the_formula(encoder):
    q = dense(encoder=encoder, k=3).infer(torch.randn(6, 3, dtype=torch.float64))
    zero, one = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    if encoder is FullGaussian:
        prior = MultivariateNormal(zero, torch.eye(3, dtype=torch.float64))
        cov = q.covariance_matrix
    else:
        prior = Independent(Normal(zero, one), 1)
        cov = torch.diag_embed(q.variance)
    found = standard_normal_kl(q)
    torch.testing.assert_close(found, kl_divergence(q, prior))
    trace = cov.diagonal(dim1=1, dim2=2).sum(1)
    formula = 0.5 * (trace + q.mean.square().sum(1) - 3 - torch.logdet(cov))
    torch.testing.assert_close(found, formula)
    assert (found > 0).all()
    assert standard_normal_kl(prior).item() == pytest.approx(0, abs=1e-12)


# ------------------------------------------------------------------ the bound


@each_pair
@pytest.mark.equation("amortised-bound")
def test_bound_is_the_integral_of_its_definition(encoder, decoder):
    """∫ q ln (p(x, z) / q) by quadrature over a plane, against the mean over much noise."""
    vae = dense(encoder, decoder)
    x = data_for(vae, 2)
    points, cell = grid(241)
    q = vae.infer(x)
    with torch.no_grad():
        log_q = q.log_prob(points[:, None])  # (Z, N)
        log_joint = log_joint_at(vae, points, x)
        expected = (log_q.exp() * (log_joint - log_q)).sum(0) * cell
        log_evidence = torch.logsumexp(log_joint, 0) + cell.log()
        each = torch.stack([vae.lower_bound(x, e[None]) for e in noise(4000, 2, 2)])  # (S, N)
    error = each.std(0) / math.sqrt(len(each))
    assert ((each.mean(0) - expected).abs() < 4.5 * error + 1e-9).all()
    assert (expected < log_evidence).all()
    whole = vae.lower_bound(x, noise(4000, 2, 2))
    torch.testing.assert_close(whole.detach(), each.mean(0))


@each_pair
def test_bound_gap_is_the_divergence_from_the_posterior(encoder, decoder):
    vae = dense(encoder, decoder)
    x = data_for(vae, 2)
    points, cell = grid(241)
    with torch.no_grad():
        log_q = vae.infer(x).log_prob(points[:, None])
        log_joint = log_joint_at(vae, points, x)
        log_evidence = torch.logsumexp(log_joint, 0) + cell.log()
        bound = (log_q.exp() * (log_joint - log_q)).sum(0) * cell
        divergence = (log_q.exp() * (log_q - log_joint + log_evidence)).sum(0) * cell
    torch.testing.assert_close(log_evidence - bound, divergence, atol=1e-6, rtol=1e-5)
    assert (divergence > 0).all()


@pytest.mark.equation("loss")
def test_loss_is_what_is_not_explained_plus_the_divergence():
    vae = dense()
    x, eps = data_for(vae), noise(3, 5, 2)
    explained, divergence = vae.terms(x, eps)
    z = reparametrise(vae.infer(x), eps)
    by_hand = torch.stack([vae.likelihood(z[s]).log_prob(x) for s in range(3)]).mean(0)
    torch.testing.assert_close(explained, by_hand)
    assert vae.loss(x, eps).item() == pytest.approx((divergence - by_hand).mean().item())


@pytest.mark.equation("inference-network")
@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_datum_has_its_own_q_from_one_network(encoder):
    vae = dense(encoder=encoder)
    x = data_for(vae)
    q = vae.infer(x)
    out = vae.encoder.network(x)
    torch.testing.assert_close(q.mean, out[:, :2])
    torch.testing.assert_close(q.mean[3], vae.infer(x[3:4]).mean[0])
    if encoder is FullGaussian:
        L = q.scale_tril
        assert (L.triu(1) == 0).all()
        torch.testing.assert_close(L.diagonal(dim1=1, dim2=2), (0.5 * out[:, 2:4]).exp())
        torch.testing.assert_close(L[:, 1, 0], out[:, 4])
    else:
        torch.testing.assert_close(q.stddev, (0.5 * out[:, 2:]).exp())


def test_each_datum_has_noise_of_its_own():
    vae = dense()
    x, eps = data_for(vae, 1).expand(4, 3), noise(1, 4, 2)
    bounds = vae.lower_bound(x, eps)
    assert len(set(bounds.tolist())) == 4
    with pytest.raises(ValueError, match=r"eps has shape \(1, 1, 2\).*noise of its own"):
        vae.lower_bound(x, eps[:, :1])


@each_pair
def test_gradients_are_those_of_finite_differences(encoder, decoder):
    vae = dense(encoder, decoder)
    x, eps = data_for(vae), noise(2, 5, 2)
    vae.loss(x, eps).backward()
    rng, size = np.random.default_rng(0), 1e-6
    for p in vae.parameters():
        at = tuple(rng.integers(n) for n in p.shape)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                p[at] += sign * size
                values.append(vae.loss(x, eps).item())
                p[at] -= sign * size
        slope = (values[0] - values[1]) / (2 * size)
        assert p.grad[at].item() == pytest.approx(slope, rel=1e-5, abs=1e-7)


@each_pair
def test_weighted_samples_come_near_the_log_likelihood_from_below(encoder, decoder):
    vae = dense(encoder, decoder)
    x = data_for(vae, 3)
    points, cell = grid(321)
    with torch.no_grad():
        log_joint = log_joint_at(vae, points, x)
        exact = torch.logsumexp(log_joint, 0) + cell.log()
        few = torch.stack([vae.log_prob(x, noise(5, 3, 2, seed=s)) for s in range(400)]).mean(0)
        one = torch.stack([vae.log_prob(x, noise(1, 3, 2, seed=s)) for s in range(400)]).mean(0)
        many = vae.log_prob(x, noise(100_000, 3, 2))
        bound = vae.lower_bound(x, noise(4000, 3, 2))
    assert (one < exact).all()
    assert (few > one).all()
    torch.testing.assert_close(one, bound, atol=0.6, rtol=0.1)
    torch.testing.assert_close(many, exact, atol=0.1, rtol=0)


def test_a_linear_vae_is_factor_analysis():
    """Its bound at the exact posterior is the log likelihood of probabilistic PCA."""
    rng = np.random.default_rng(0)
    W, mu, var = rng.normal(size=(4, 2)), rng.normal(size=4), 0.3
    model = FactorAnalysis(W, mu, np.full(4, var), isotropic=True)
    q = model.infer(np.zeros((1, 4)))
    encoder, decoder = mlp([4, 7 - 2], rng=0), mlp([2, 4], rng=0)
    vae = VAE(FullGaussian(encoder, 2, 0.0), SharedGaussian(decoder, 0.0), 2).double()
    L = np.linalg.cholesky(q.cov)
    with torch.no_grad():
        encoder[0].weight.zero_()
        encoder[0].weight[:2] = torch.tensor(q.weights)
        bias = [*(-q.weights @ mu), *(2 * np.log(np.diag(L))), L[1, 0]]
        encoder[0].bias.copy_(torch.tensor(bias))
        decoder[0].weight.copy_(torch.tensor(W))
        decoder[0].bias.copy_(torch.tensor(mu))
        vae.decoder.log_var.fill_(math.log(var))
    x, _ = model.sample(6, rng=1)
    exact = torch.tensor(model.log_prob(x))
    # Every weight is p(x), whatever the noise: q is the posterior.
    torch.testing.assert_close(vae.log_prob(x, noise(1, 6, 2)).detach(), exact)
    each = torch.stack([vae.lower_bound(x, e[None]).detach() for e in noise(4000, 6, 2)])
    assert ((each.mean(0) - exact).abs() < 4.5 * each.std(0) / math.sqrt(4000)).all()


# ------------------------------------------------------------------ behaviour


@each_pair
def test_same_seed_same_model_same_value_and_no_global_state_is_touched(encoder, decoder):
    state = torch.get_rng_state()
    a, b = (VAE.dense(3, 2, (8,), rng=5, encoder=encoder, decoder=decoder) for _ in range(2))
    x = a.sample(4, rng=1)[0]
    assert torch.equal(x, b.sample(4, rng=1)[0])
    assert torch.equal(a.lower_bound(x, noise(1, 4, 2)), b.lower_bound(x, noise(1, 4, 2)))
    other = VAE.dense(3, 2, (8,), rng=6, encoder=encoder, decoder=decoder)
    assert not torch.equal(a.lower_bound(x, noise(1, 4, 2)), other.lower_bound(x, noise(1, 4, 2)))
    assert torch.equal(state, torch.get_rng_state())


@each_pair
def test_the_state_of_a_vae_is_its_weights_alone(encoder, decoder):
    """Indices follow from the sizes: in a file they would only be one more thing that must fit."""
    vae = dense(encoder, decoder)
    assert list(vae.state_dict()) == [name for name, _ in vae.named_parameters()]


@each_decoder
def test_float32_by_default_and_float64_when_asked(decoder):
    vae = VAE.dense(3, 2, (8,), rng=0, decoder=decoder)
    x = vae.sample(4, rng=0)[0]
    single = vae.lower_bound(x, noise(1, 4, 2))
    assert x.dtype == single.dtype == torch.float32
    double = vae.double().lower_bound(x, noise(1, 4, 2))
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


@each_decoder
def test_draws_have_the_moments_of_their_distribution(decoder):
    vae = dense(decoder=decoder)
    z = torch.tensor([0.5, -1.0], dtype=torch.float64).expand(40_000, 2)
    with torch.no_grad():
        p = vae.likelihood(z)
        x = draw(p, rng=0)
    std = p.stddev[0] if decoder is not BernoulliPixels else p.variance[0].sqrt()
    assert ((x.mean(0) - p.mean[0]).abs() < 4.5 * std / 200).all()
    np.testing.assert_allclose(x.std(0), std, rtol=0.03)


def test_convolutional_networks_take_flat_images():
    encoder = DiagonalGaussian(conv_encoder(28, 6, rng=0), 0.0)
    for decoder, maps in ((BernoulliPixels, 1), (DiagonalGaussian, 2)):
        vae = VAE(encoder, decoder(conv_decoder(3, 28, n_maps=maps, rng=0)), 3)
        x = vae.sample(2, rng=0)[0]
        assert x.shape == (2, 784)
        assert vae.lower_bound(x, noise(4, 2, 3)).shape == (2,)


def test_the_way_back_of_a_convolution_makes_one_image_a_map():
    network = conv_decoder(3, 8, n_maps=2, rng=0)
    out = network(torch.randn(5, 3))
    assert out.shape == (5, 2 * 64)


def test_beta_weighs_the_divergence_in_the_loss_alone():
    one, four = dense(), VAE(dense().encoder, dense().decoder, 2, beta=4.0)
    x, eps = data_for(one), noise(2, 5, 2)
    explained, divergence = four.terms(x, eps)
    torch.testing.assert_close(four.loss(x, eps), (4 * divergence - explained).mean())
    torch.testing.assert_close(four.lower_bound(x, eps), one.lower_bound(x, eps))
    assert build(spec(four)).beta == 4.0


def conditional():
    encoder = DiagonalGaussian(mlp([3 + 2, 8, 4], rng=0), 0.0)
    decoder = DiagonalGaussian(mlp([2 + 2, 8, 6], rng=1))
    return ConditionalVAE(encoder, decoder, n_factors=2, n_given=2).double()


def test_a_conditional_vae_is_a_vae_of_its_own_for_each_y():
    vae = conditional()
    y = torch.tensor([[0.3, -1.0]], dtype=torch.float64)
    x, z = vae.sample(y.expand(4, 2), rng=0)
    assert x.shape == (4, 3)
    assert z.shape == (4, 2)
    xy, points, cell = torch.cat([x, y.expand(4, 2)], 1), *grid(321)
    with torch.no_grad():
        zy = torch.cat([points, y.expand(len(points), 2)], 1)
        log_joint = vae.likelihood(zy[:, None]).log_prob(x) + Normal(0.0, 1.0).log_prob(points).sum(
            1
        ).unsqueeze(1)
        exact = torch.logsumexp(log_joint, 0) + cell.log()
        many = vae.log_prob(xy, noise(100_000, 4, 2))
        bound = vae.lower_bound(xy, noise(4000, 4, 2))
    torch.testing.assert_close(many, exact, atol=0.1, rtol=0)
    assert (bound < exact).all()
    with pytest.raises(ValueError, match=r"zy has shape \(4, 2\); wanted \(..., 4\)"):
        vae.likelihood(z)


GOOD = dense()

BAD = [
    (lambda: GOOD.infer(np.zeros(3)), ValueError, r"x has shape \(3,\)"),
    (lambda: GOOD.infer(np.full((2, 3), np.nan)), ValueError, "x has 6 values that are not"),
    (lambda: GOOD.infer(torch.zeros(3)), ValueError, r"x has shape \(3,\); wanted \(N, D\)"),
    (lambda: GOOD.infer(None), TypeError, "x is None"),
    (lambda: GOOD.likelihood(np.zeros((2, 3))), ValueError, r"z has shape \(2, 3\)"),
    (lambda: GOOD.likelihood("z"), TypeError, "z holds"),
    (lambda: GOOD.lower_bound(np.zeros((2, 3)), np.zeros((2, 2))), ValueError, "eps has shape"),
    (lambda: GOOD.log_prob(np.zeros((2, 3)), np.zeros((0, 2, 2))), ValueError, "eps has shape"),
    (lambda: GOOD.sample(0, rng=0), ValueError, "n is 0"),
    (lambda: GOOD.sample(2, rng=None), TypeError, "rng is None"),
    (lambda: VAE(GOOD.encoder, "decoder", 2), TypeError, "decoder is str; wanted an nn.Module"),
    (lambda: VAE(GOOD.encoder, GOOD.decoder, 0), ValueError, "n_factors is 0"),
    (lambda: VAE.dense(3, True, rng=0), TypeError, "n_factors is True"),
    (lambda: DiagonalGaussian("network"), TypeError, "network is str"),
    (lambda: DiagonalGaussian(nn.Identity(), -1.0), ValueError, "floor is -1.0"),
    (lambda: mlp([3], rng=0), ValueError, r"sizes is \[3\]; wanted at least"),
    (lambda: mlp([3, 0], rng=0), ValueError, "sizes is 0"),
    (lambda: mlp([3, 2], rng=0, activation="gelu"), ValueError, "activation is 'gelu'"),
    (lambda: mlp([3, 2], rng="seed"), TypeError, "rng is 'seed'"),
    (lambda: conv_encoder(30, 4, rng=0), ValueError, "size is 30; wanted a multiple of 4"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_what_is_wrong_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------ not what they seem


class Tall(FullGaussian):
    """A kind of the user's own, of which `dense` knows what it is made of."""


class Short(DiagonalGaussian):
    def __init__(self, network):  # takes no floor
        super().__init__(network)


@pytest.mark.parametrize("kind", [Tall, Short, SharedGaussian, DiagonalGaussian, FullGaussian])
def test_dense_makes_every_kind_of_gaussian(kind):
    vae = VAE.dense(5, 2, (4,), rng=0, encoder=kind, decoder=kind)
    assert (vae.encoder.floor, vae.decoder.floor) == (0.0, constants.STD_FLOOR)
    assert vae.lower_bound(np.zeros((3, 5)), np.zeros((1, 3, 2))).isfinite().all()


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"encoder": BernoulliPixels}, "encoder is BernoulliPixels; wanted a Gaussian"),
        ({"encoder": Conditional}, "encoder is Conditional; wanted one of its kinds"),
        ({"decoder": Conditional}, "decoder is Conditional; wanted one of its kinds"),
        ({"decoder": nn.Linear}, "decoder is .*Linear.*; wanted a class of lfm.vae"),
        ({"decoder": SharedGaussian(nn.Linear(2, 5))}, "decoder is Shared(.|\n)*; wanted a class"),
        ({"decoder": "BernoulliPixels"}, "decoder is 'BernoulliPixels'; wanted a class"),
    ],
)
def test_dense_names_a_kind_that_cannot_be(kinds, message):
    with pytest.raises(TypeError, match=message):
        VAE.dense(5, 2, (4,), rng=0, **kinds)


def test_a_conditional_vae_is_not_made_of_networks_of_x_alone():
    with pytest.raises(TypeError, match="make those of a ConditionalVAE with mlp"):
        ConditionalVAE.dense(5, 2, rng=0)
    with pytest.raises(TypeError, match="encoder is BernoulliPixels; wanted a Gaussian"):
        VAE(BernoulliPixels(mlp([5, 2], rng=0)), SharedGaussian(mlp([2, 5], rng=0)), 2)
