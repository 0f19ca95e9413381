"""The variational autoencoder: a deep latent factor model and its inference network.

z ~ N(0, I), x | z from a distribution whose parameters a network computes from z. A second network
computes q(z | x): one for all data, so nothing is stored for a datum. There are no sufficient
statistics; inference and learning are one gradient step on the same bound.

Everything that is drawn is drawn by the caller: noise is passed in, and the same noise gives the
same value. Networks are float32 as torch makes them; `vae.double()` makes all of it float64.
"""

import itertools
import math
from typing import Annotated

import torch
from torch import nn
from torch.distributions import Bernoulli, Distribution, Independent, MultivariateNormal, Normal

from lfm.engine import constants, networks
from lfm.engine.inputs import TakesData
from lfm.engine.networks import Activation, ImageSize, Network, evaluating
from lfm.engine.randomness import seeded
from lfm.engine.signatures import Amount, Count, Counts, Data, Rng, checked

Tensor = torch.Tensor


# ------------------------------------------------------------------ networks


@checked
def mlp(sizes: Counts, *, rng, activation: Activation = "relu") -> nn.Module:
    """Return linear layers of these sizes, from input to output, with an activation in between.

    `activation` is "relu" or "tanh". `rng` is a generator or a seed; torch's own random state is
    left as it was.
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes is {sizes}; wanted at least an input and an output")
    with seeded(rng):
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), networks.ACTIVATIONS[activation]()]
    return _with_spec(nn.Sequential(*layers[:-1]), "mlp", sizes=sizes, activation=activation)


@checked
def conv_encoder(size: ImageSize, n_out: Count, *, channels: Count = 16, rng) -> nn.Module:
    """Return a small convolutional network from images (N, size²) to n_out numbers.

    Two convolutions halve the image twice; `size` is a multiple of 4.
    """
    c = channels
    with seeded(rng):
        halved = [nn.Conv2d(1, c, 4, stride=2, padding=1), nn.ReLU()]
        again = [nn.Conv2d(c, 2 * c, 4, stride=2, padding=1), nn.ReLU()]
        numbers = [nn.Flatten(), nn.Linear(2 * c * (size // 4) ** 2, n_out)]
    network = nn.Sequential(nn.Unflatten(1, (1, size, size)), *halved, *again, *numbers)
    return _with_spec(network, "conv_encoder", size=size, n_out=n_out, channels=c)


@checked
def conv_decoder(
    n_in: Count, size: ImageSize, *, n_maps: Count = 1, channels: Count = 16, rng
) -> nn.Module:
    """Return the way back: from n_in numbers to `n_maps` images, flat: (N, n_maps size²)."""
    c = channels
    with seeded(rng):
        numbers = [nn.Linear(n_in, 2 * c * (size // 4) ** 2), nn.ReLU()]
        maps = nn.Unflatten(1, (2 * c, size // 4, size // 4))
        doubled = [nn.ConvTranspose2d(2 * c, c, 4, stride=2, padding=1), nn.ReLU()]
        again = [nn.ConvTranspose2d(c, n_maps, 4, stride=2, padding=1), nn.Flatten()]
    network = nn.Sequential(*numbers, maps, *doubled, *again)
    return _with_spec(network, "conv_decoder", n_in=n_in, size=size, n_maps=n_maps, channels=c)


# ------------------------------------------------------------------ conditional distributions


class Conditional(nn.Module):
    """A distribution whose parameters a network computes from what it is conditioned on."""

    options: tuple[str, ...] = ()  # what, beside the network, rebuilds it

    @checked
    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    @staticmethod
    def n_outputs(size: int) -> int:
        """Return how many numbers the network must return for a distribution over `size` ones."""
        return size

    def n_inputs(self) -> int | None:
        """Return how many numbers the network takes, or None for one of the user's own."""
        known = type(self) in CONDITIONALS.values()
        made = getattr(self.network, "spec", {}) if known else {}
        if made.get("kind") == "mlp":
            return made["sizes"][0]
        return made["size"] ** 2 if made.get("kind") == "conv_encoder" else None

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.options)

    def outputs(self, given: Tensor) -> Tensor:
        """Return what the network makes of `given` (..., A), shape (..., B)."""
        flat = self.network(given.reshape(-1, given.shape[-1])).to(given.dtype)  # from bfloat16
        return flat.reshape(*given.shape[:-1], flat.shape[-1])


class DiagonalGaussian(Conditional):
    """N(μ(·), diag σ²(·)): the network returns the mean and a log variance, 2 D numbers.

    Eq. gaussian-likelihood. σ² = floor² + e^(log variance), so that σ stays above the floor and its
    gradient is never cut off.
    """

    options = ("floor",)

    @checked
    def __init__(self, network: Network, floor: Amount = constants.STD_FLOOR):
        super().__init__(network)
        self.floor = floor

    @staticmethod
    def n_outputs(size: int) -> int:
        return 2 * size

    def forward(self, given: Tensor) -> Distribution:
        mean, log_var = self.outputs(given).chunk(2, dim=-1)
        return _diagonal(mean, _std(log_var, self.floor))


class FullGaussian(Conditional):
    """N(μ(·), A(·) A(·)ᵀ): the network returns the mean and a lower triangle.

    Eq. gaussian-likelihood with a full covariance, for few dimensions: D + D (D + 1)/2 numbers.
    The diagonal of A is made positive as in `DiagonalGaussian`: A is the Cholesky factor.
    """

    options = ("size", "floor")

    @checked
    def __init__(self, network: Network, size: Count, floor: Amount = constants.STD_FLOOR):
        super().__init__(network)
        self.size, self.floor = size, floor
        self.register_buffer("below", torch.tril_indices(size, size, -1), persistent=False)

    @staticmethod
    def n_outputs(size: int) -> int:
        return 2 * size + size * (size - 1) // 2

    def forward(self, given: Tensor) -> Distribution:
        d = self.size
        mean, log_var, below = self.outputs(given).split([d, d, d * (d - 1) // 2], dim=-1)
        factor = torch.diag_embed(_std(log_var, self.floor))
        factor[..., self.below[0], self.below[1]] = below
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)


class SharedGaussian(Conditional):
    """N(μ(·), σ²I), one learned σ for all data and dimensions: the network returns the mean."""

    options = ("floor",)

    @checked
    def __init__(self, network: Network, floor: Amount = constants.STD_FLOOR):
        super().__init__(network)
        self.floor = floor
        self.log_var = nn.Parameter(torch.zeros(()))

    def forward(self, given: Tensor) -> Distribution:
        mean = self.outputs(given)
        return _diagonal(mean, _std(self.log_var, self.floor).expand_as(mean))


class BernoulliPixels(Conditional):
    """Independent bits: the network returns their log odds.

    Grey values in [0, 1] are accepted, each as the mean of a bit; the "log likelihood" is then an
    average over what the bits may be, and not that of a density of grey values.
    """

    def forward(self, given: Tensor) -> Distribution:
        bits = Bernoulli(logits=self.outputs(given), validate_args=False)
        return Independent(bits, 1, validate_args=False)


CONDITIONALS = {
    c.__name__: c for c in (DiagonalGaussian, FullGaussian, SharedGaussian, BernoulliPixels)
}
Kind = Annotated[type[Conditional], networks.kind_of(Conditional)]


# ------------------------------------------------------------------ the model


class VAE(TakesData):
    """z ~ N(0, I), x | z ~ decoder(z), and q(z | x) = encoder(x). Eq. deep-model.

    θ are the decoder's parameters, φ the encoder's. Data (N, D) are tensors, or arrays that are
    then checked; of either, bytes (uint8) are grey values and divided by 255 (see `TakesData`).
    `beta` multiplies the divergence in the loss, and there alone: with another than 1 it is a
    β-VAE, and its loss no longer a bound's.
    Source: Kingma and Welling 2014; Rezende, Mohamed and Wierstra 2014; Higgins et al. 2017.
    """

    @checked
    def __init__(self, encoder: Network, decoder: Network, n_factors: Count, beta: Amount = 1.0):
        super().__init__()
        if isinstance(encoder, BernoulliPixels):
            raise TypeError("encoder is BernoulliPixels; wanted a Gaussian: z are numbers")
        self.encoder, self.decoder = encoder, decoder
        self.n_factors, self.beta = n_factors, beta

    @classmethod
    @checked
    def dense(
        cls,
        n_columns: Count,
        n_factors: Count,
        hidden: Counts = (400,),
        *,
        rng: Rng,
        encoder: Kind = DiagonalGaussian,
        decoder: Kind = BernoulliPixels,
        activation: Activation = "relu",
        beta: Amount = 1.0,
    ) -> "VAE":
        """Return a VAE of dense networks, hidden layers from x to z as listed, and back."""
        d, k = n_columns, n_factors
        if issubclass(cls, ConditionalVAE):
            raise TypeError("dense networks take x alone; make those of a ConditionalVAE with mlp")
        if "floor" not in encoder.options:
            raise TypeError(f"encoder is {encoder.__name__}; wanted a Gaussian: z are numbers")
        inwards = mlp([d, *hidden, encoder.n_outputs(k)], rng=rng, activation=activation)
        outwards = mlp([k, *reversed(hidden), decoder.n_outputs(d)], rng=rng, activation=activation)
        q = encoder(inwards, *((k,) if "size" in encoder.options else ()))
        p = decoder(outwards, *((d,) if "size" in decoder.options else ()))
        q.floor = 0.0  # q may be as narrow as the posterior is, p(x | z) not
        return cls(q, p, k, beta)

    def extra_repr(self) -> str:
        return f"n_factors={self.n_factors}, n_given={self.n_given}, beta={self.beta}"

    def infer(self, x) -> Distribution:
        """Return q(z | x, φ) for each of data x (N, D): a Gaussian over (K,). Inference.

        Eq. inference-network. One pass through a network, whatever N data there are elsewhere.
        """
        return self.encoder(self.taken(x, bits=False))

    def likelihood(self, z) -> Distribution:
        """Return p(x | z, θ) for factors z (..., K), a distribution over (D,)."""
        return self.decoder(self.rows(z, "z", self.n_factors))

    def terms(self, x, eps) -> tuple[Tensor, Tensor]:
        """Return E_q[ln p(x | z)], estimated by the noise eps (S, N, K), and KL(q ‖ p(z)): (N,)."""
        x, eps = self.taken(x), self.noise(x, eps)
        return self.terms_of(self.encoder(x), x, eps)

    def terms_of(self, q: Distribution, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same two terms for any Gaussian q over the factors of each datum."""
        log_lik = self.log_likelihood(reparametrise(q, eps), x)  # (S, N)
        return log_lik.mean(0), standard_normal_kl(q)

    def lower_bound(self, x, eps) -> Tensor:
        """Return L of each datum in nats (N,), estimated by the noise eps (S, N, K).

        Eq. amortised-bound: E_q[ln p(x | z)] - KL(q(z | x) ‖ p(z)). Unbiased, and a function of θ
        and φ that can be differentiated.
        """
        explained, divergence = self.terms(x, eps)
        return explained - divergence

    def loss(self, x, eps) -> Tensor:
        """Return J = -L, the mean over data in nats: what training minimises. Eq. loss."""
        explained, divergence = self.terms(x, eps)
        return self.loss_of(explained.mean(), divergence.mean())

    def loss_of(self, explained: Tensor, divergence: Tensor) -> Tensor:
        """Return the loss for the means of the two terms; a loss of your own overrides this."""
        return self.beta * divergence - explained

    def log_prob(self, x, eps) -> Tensor:
        """Return an estimate of ln p(x | θ) in nats (N,) from S independent samples, eps (S, N, K).

        Eq. importance-bound: ln (1/S) Σ_s p(x, z_s) / q(z_s | x), at most ln p(x) on average, and
        nearer the larger S. Source: Burda, Grosse and Salakhutdinov 2016.
        """
        x, eps = self.taken(x), self.noise(x, eps)
        q = self.encoder(x)
        z = reparametrise(q, eps)
        log_prior = Normal(0.0, 1.0, validate_args=False).log_prob(z).sum(-1)
        log_weights = log_prior + self.log_likelihood(z, x) - q.log_prob(z)  # (S, N)
        return torch.logsumexp(log_weights, 0) - math.log(len(eps))

    @checked
    @torch.no_grad()
    def sample(self, n: Count, *, rng: Rng) -> tuple[Tensor, Tensor]:
        """Return n draws (x (N, D), z (N, K)): z from the prior, then x given z."""
        z = self.tensor(rng.standard_normal((n, self.n_factors)), "z")
        with evaluating(self):
            return draw(self.decoder(z), rng=rng), z

    def decoded(self, z: Tensor, x: Tensor) -> Distribution:
        """Return p(x | z, θ) for factors z (S, N, K) of data x (N, D), which may give a part."""
        return self.likelihood(z)

    def log_likelihood(self, z: Tensor, x: Tensor) -> Tensor:
        """Return ln p(x_n | z_sn) in nats (S, N)."""
        return self.decoded(z, x).log_prob(self.explained(x))

    def takes_bits(self) -> bool:
        """Tell whether what is explained is bits, or grey values as their means."""
        return isinstance(self.decoder, BernoulliPixels)

    def n_columns(self) -> int | None:
        """Return how many columns data have, or None where the networks do not say."""
        return self.encoder.n_inputs() if isinstance(self.encoder, Conditional) else None


@checked
def linear_vae(n_columns: Count, n_factors: Count, *, rng: Rng) -> VAE:
    """Return a VAE of linear networks with one σ and a diagonal q, in float64. Eq. linear-vae.

    Its decoder is probabilistic PCA; nothing in it is deep. Source: Lucas, Tucker, Grosse and
    Norouzi 2019, Don't blame the ELBO!
    """
    d, k = n_columns, n_factors
    encoder = DiagonalGaussian(mlp([d, 2 * k], rng=rng), floor=0.0)
    return VAE(encoder, SharedGaussian(mlp([k, d], rng=rng), floor=0.0), k).double()


class ConditionalVAE(VAE):
    """p(x | z, y) and q(z | x, y): what is known of a datum, y (G,), is given to both networks.

    Data are rows [x, y] (N, D + G). The code has to tell only what y does not.
    Source: Sohn, Lee and Yan 2015, NIPS 28, 3483-3491.
    """

    @checked
    def __init__(
        self,
        encoder: Network,
        decoder: Network,
        n_factors: Count,
        n_given: Count,
        beta: Amount = 1.0,
    ):
        super().__init__(encoder, decoder, n_factors, beta)
        self.n_given = n_given

    def likelihood(self, zy) -> Distribution:
        """Return p(x | z, y, θ) for rows [z, y] (..., K + G), a distribution over (D,)."""
        return self.decoder(self.rows(zy, "zy", self.n_factors + self.n_given))

    @checked
    @torch.no_grad()
    def sample(self, y: Data, *, rng: Rng) -> tuple[Tensor, Tensor]:
        """Return a draw for each row of y (N, G): x (N, D) and z (N, K), z from the prior."""
        y = self.rows(y, "y", self.n_given)
        z = self.tensor(rng.standard_normal((len(y), self.n_factors)), "z")
        with evaluating(self):
            return draw(self.likelihood(torch.cat([z, y], 1)), rng=rng), z

    def decoded(self, z: Tensor, x: Tensor) -> Distribution:
        """Return p(x | z, y, θ) for factors z (S, N, K), y from data x (N, D + G)."""
        y = x[:, -self.n_given :]
        shape = z.shape[:-2] + y.shape[:1]
        z, y = z.expand(*shape, z.shape[-1]), y.expand(*shape, y.shape[-1])
        return self.likelihood(torch.cat([z, y], -1))


def reparametrise(q: Distribution, eps: Tensor) -> Tensor:
    """Return z = μ + Aε (S, N, K) for the Gaussian q over (N, K) and noise eps (S, N, K)."""
    if isinstance(q, MultivariateNormal):
        with torch.autocast(eps.device.type, enabled=False):  # of the networks alone
            return q.loc + (q.scale_tril @ eps[..., None])[..., 0]
    return q.mean + q.stddev * eps


def standard_normal_kl(q: Distribution) -> Tensor:
    """Return KL(q ‖ N(0, I)) in nats, of each Gaussian in a batch. Eq. standard-normal-kl.

    ½ (tr Σ + μᵀμ - K - ln|Σ|).
    """
    squares = q.mean.square() + q.variance  # tr Σ is the sum of the variances
    if isinstance(q, MultivariateNormal):
        log_det = 2 * q.scale_tril.diagonal(dim1=-2, dim2=-1).log()
    else:
        log_det = 2 * q.stddev.log()
    return 0.5 * (squares - 1 - log_det).sum(-1)


@checked
def draw(p: Distribution, *, rng: Rng) -> Tensor:
    """Return one draw of each distribution in a batch; torch's own random state is left alone."""
    mean = p.mean
    base = p.base_dist if isinstance(p, Independent) else p
    if isinstance(base, Bernoulli):
        uniform = torch.as_tensor(rng.random(mean.shape)).to(mean)
        return (uniform < mean).to(mean.dtype)
    eps = torch.as_tensor(rng.standard_normal(mean.shape)).to(mean)
    return reparametrise(p, eps)


def _diagonal(mean: Tensor, std: Tensor) -> Distribution:
    return Independent(Normal(mean, std, validate_args=False), 1, validate_args=False)


def _std(log_var: Tensor, floor: float) -> Tensor:
    return (log_var.exp() + floor**2).sqrt()


def _with_spec(network: nn.Module, kind: str, **options) -> nn.Module:
    network.spec = {"kind": kind} | options
    network.as_made = repr(network)
    return network
