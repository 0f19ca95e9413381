"""The smallest model of the course: two bells, one parameter. Read this file first.

z is 0 or 1 with probability ½, and x | z ~ N(z θ, 1): one bell stands at 0, the other at θ.
It has every method that the loop `lfm.em` asks for, in the order in which all models have them.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from lfm.distributions import Categorical
from lfm.em import Stats
from lfm.engine import validate
from lfm.engine.signatures import Column, Count, Rng
from lfm.engine.values import frozen, number

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class TwoBellsStats(Stats):
    """Eq. sufficient-statistics: all that learning needs to know of x and q."""

    r: float  # Σ_n r_n, how much data the moving bell claims
    rx: float  # Σ_n r_n x_n, the sum of what it claims
    xx: float  # Σ_n x_n²


@frozen(eq=True)
class TwoBells:
    """p(x | θ) = ½ N(x; 0, 1) + ½ N(x; θ, 1)."""

    theta: float = number()
    needs_q, exact_inference = False, True  # `infer` returns the posterior

    @classmethod
    def init(cls, x: Column, n_components: int = 2, *, rng: Rng) -> "TwoBells":
        """Return the model with θ at a random datum. `n_components` can only be 2."""
        validate.count(n_components, "n_components", 2, 2)
        return cls(float(rng.choice(x[:, 0])))

    def infer(self, x: Column, q=None) -> Categorical:
        """Return q(z_n) = p(z_n | x_n, θ), probs (N, 2). The old `q` is not needed.

        Bayes' rule: the log odds of z = 1 are ln N(x; θ, 1) - ln N(x; 0, 1) = θ x - θ²/2.
        """
        x = x[:, 0].astype(float)
        log_odds = self.theta * x - self.theta**2 / 2
        return Categorical(np.column_stack([expit(-log_odds), expit(log_odds)]))

    def expect(self, x: Column, q: Categorical) -> TwoBellsStats:
        """Return Σ r, Σ r x, Σ x² and H[q], with r_n = q(z_n = 1)."""
        x, r = x[:, 0].astype(float), q.probs[:, 1]  # whole numbers would overflow
        entropy = float(q.entropy().sum())
        return TwoBellsStats(len(x), entropy, float(r.sum()), float(r @ x), float(x @ x))

    def learn(self, stats: TwoBellsStats) -> "TwoBells":
        """Return the model whose θ = Σ r x / Σ r is the mean of what its bell claims."""
        if stats.r <= 0:
            raise ValueError("stats have r = 0: the moving bell claims no data; start it nearer")
        return replace(self, theta=stats.rx / stats.r)

    def lower_bound(self, stats: TwoBellsStats) -> float:
        """Return L(q, θ) = Σ_n E_q[ln ½ N(x_n; z_n θ, 1)] + H[q] in nats."""
        squares = stats.xx - 2 * self.theta * stats.rx + self.theta**2 * stats.r
        constant = stats.n * (np.log(0.5) - 0.5 * np.log(2 * np.pi))
        return float(constant - 0.5 * squares + stats.entropy)

    def log_prob(self, x: Column) -> Array:
        """Return ln p(x_n | θ) in nats, shape (N,)."""
        bells = -0.5 * np.square(x - [0.0, self.theta]) - 0.5 * np.log(2 * np.pi)  # (N, 2)
        return np.logaddexp(bells[:, 0], bells[:, 1]) + np.log(0.5)

    def sample(self, n: Count, *, rng: Rng) -> tuple[Array, Array]:
        """Return n draws (x (N, 1), z (N,))."""
        z = rng.integers(2, size=n)
        return (z * self.theta + rng.standard_normal(n))[:, None], z
