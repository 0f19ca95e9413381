"""Numbers of the exam questions on chapter 07, gradients through samples."""

import numpy as np
import torch

from lfm import gradients
from lfm.checks.questions.drawing import Numbers, pick


def two_estimators(rng) -> Numbers | None:
    m, std, eps = pick(rng, 0.5, 2, 0.5), pick(rng, 0.5, 2, 0.5), pick(rng, -1.5, 1.5, 0.1, 3)
    if len(set(eps)) < 3:
        return None
    path, score = (
        gradients.monte_carlo(estimator(_square, [m], [std], eps[:, None]).mean[:, 0])
        for estimator in (gradients.pathwise_gradient, gradients.score_gradient)
    )
    answers = [float(v) for v in (path.value, path.error, score.value, score.error)]
    z = m + std * eps
    return Numbers(*answers, m=m, std=std, eps=eps, z=z, slopes=2 * z, scores=z**2 * eps / std)


def _square(z):
    return z.square().sum(1)


def correlated_sample(rng) -> Numbers | None:
    low = np.array([[pick(rng, 1, 3, 0.5), 0], [pick(rng, -2, 2, 0.5), pick(rng, 1, 3, 0.5)]])
    mean, eps = pick(rng, -3, 3, 1, 2), pick(rng, -2, 2, 0.1, 2)
    if low[1, 0] == 0:
        return None
    cov = low @ low.T
    z = gradients.sample(mean, np.linalg.cholesky(cov), eps[None])[0].numpy()
    return Numbers(z[0], z[1], eps=eps, mean=mean, cov=cov, low=low)


def batch_for_the_whole(rng) -> Numbers:
    terms, kl = pick(rng, -4, -0.5, 0.1, 4), float(pick(rng, 1, 9, 0.5))
    n = int(rng.choice([50, 100, 200, 400]))
    value = float(gradients.minibatch_sum(terms, n)) - kl
    return Numbers(value, n=n, terms=terms, kl=kl, scale=n / 4, total=terms.sum())


def back_through_a_network(rng) -> Numbers | None:
    x, w = float(pick(rng, 0.5, 3, 0.5)), float(pick(rng, 0.1, 0.6, 0.1))
    v, t = float(pick(rng, 0.5, 3, 0.5)), float(pick(rng, -2, 2, 0.5))
    w_, v_ = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (w, v))
    a = w_ * x
    h = torch.tanh(a)
    y = v_ * h
    slopes = torch.autograd.grad(0.5 * (y - t) ** 2, [y, v_, h, a, w_])
    dy, dv, dh, da, dw = (slope.item() for slope in slopes)
    a, h, y = a.item(), h.item(), y.item()
    if abs(dy) < 0.2 or a - h < 0.05 or abs(x - w) < 0.2:
        return None
    right = {"dy": dy, "dv": dv, "dh": dh, "da": da, "dw": dw}
    wrong = {"wrong_da": dh * (1 - h), "wrong_dv": dy * a, "wrong_dw": da * w}
    return Numbers(x=x, w=w, v=v, t=t, a=a, h=h, y=y, **right, **wrong)
