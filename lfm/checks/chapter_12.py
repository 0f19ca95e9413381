"""The exercises of chapter 12: a model of your own."""

import numpy as np
from scipy.special import betaln, logsumexp, softmax, xlog1py, xlogy

from lfm.checks.exercise import Exercise


def _joint(x, pi, P):
    """Return ln π_k + Σ_d ln p(x_nd | k) (N, K), where 0 ln 0 = 0."""
    ink, paper = xlogy(x[:, None], P), xlog1py(1 - x[:, None], -P)  # (N, K, D)
    return np.log(pi) + (ink + paper).sum(axis=2)


def _pictures(rng, n, k, d):
    """Return pictures (N, D), shares (K,) and templates (K, D)."""
    P = rng.uniform(0.05, 0.95, size=(k, d))
    x = (rng.random((n, d)) < P[rng.integers(k, size=n)]).astype(float)
    return x, rng.dirichlet(np.full(k, 2.0)), P


ink_responsibilities = Exercise(
    "ink-responsibilities",
    chapter="12",
    hint="Both ink and paper count, in logs; 0 ln 0 is 0, and ln 0 alone makes r = 0.",
    praise="with 784 factors, and with pixels that are never or always inked",
)


@ink_responsibilities.draw
def many_pixels(rng):
    d = 784
    x, pi, P = _pictures(rng, 6, 3, d)
    P[:, :5], x[:, :5] = 0.0, 0.0  # never inked, in any template
    P[:, 5:9], x[:, 5:9] = 1.0, 1.0  # always
    P[1, 9], x[:3, 9] = 0.0, 1.0  # three pictures that template 1 cannot draw
    dark = rng.random(d) < 0.5
    P[:, 12:] = np.where(dark, 0.95, 0.05)[12:] + 0.01 * (P[:, 12:] - 0.5)  # so that none is sure
    x[:3, 12:] = rng.random((3, d - 12)) < P[0, 12:]  # ln p(x, z) near -200
    x[3:, 12:] = rng.random((3, d - 12)) < 0.5  # near -1100: exp(-1100 + 200) is 0 too
    P[:, 12:132], P[1, 12:132] = 0.5, np.where(dark[12:132], 0.99, 0.01)
    x[:, 12:132] = dark[12:132]  # but for pixel 9 the first three fit template 1 best, by 80 nats
    x[3:, 12:30] = ~dark[12:30]  # the others fit it no better than the rest
    return x, pi, P


@ink_responsibilities.reference
def by_logs(x, pi, P):
    return softmax(_joint(x, pi, P), axis=1)


@ink_responsibilities.mistake(
    "a product of 784 factors is 0 for the computer, and 0/0 is NaN: add logs, and before exp "
    "subtract each row's own largest"
)
def product_of_factors(x, pi, P):
    joint = np.exp(_joint(x, pi, P))
    return joint / joint.sum(axis=1, keepdims=True)


@ink_responsibilities.mistake(
    "0 times ln 0 is NaN for the computer and 0 for us: `scipy.special.xlogy` knows that"
)
def zero_times_infinity(x, pi, P):
    return softmax(np.log(pi) + x @ np.log(P).T + (1 - x) @ np.log1p(-P).T, axis=1)


@ink_responsibilities.mistake("paper says something too: a pixel without ink has the factor 1 - p")
def ink_alone(x, pi, P):
    return softmax(np.log(pi) + xlogy(x[:, None], P).sum(axis=2), axis=1)


@ink_responsibilities.mistake("π is missing: frequent templates have a head start")
def equal_weights(x, pi, P):
    return by_logs(x, np.ones(len(pi)), P)


@ink_responsibilities.mistake(
    "each column sums to 1 here; wanted each row, the shares of the templates in a picture"
)
def over_pictures(x, pi, P):
    return softmax(_joint(x, pi, P), axis=0)


for tiny in (1e-3, 1e-6, 1e-12):

    @ink_responsibilities.mistake(
        f"P was moved away from 0 and 1, by {tiny:g} or so: then an impossible template is only "
        "improbable"
    )
    def clipped(x, pi, P, tiny=tiny):
        return by_logs(x, pi, np.clip(P, tiny, 1 - tiny))


@ink_responsibilities.mistake("ink says something too: a pixel with ink has the factor p")
def paper_alone(x, pi, P):
    return softmax(np.log(pi) + xlog1py(1 - x[:, None], -P).sum(axis=2), axis=1)


@ink_responsibilities.mistake("this is all or nothing; a responsibility is a probability")
def all_or_nothing(x, pi, P):
    return np.eye(len(pi))[_joint(x, pi, P).argmax(axis=1)]


@ink_responsibilities.mistake("these are the logs of the responsibilities; exponentiate them")
def logs_of_responsibilities(x, pi, P):
    joint = _joint(x, pi, P)
    return joint - logsumexp(joint, axis=1, keepdims=True)


@ink_responsibilities.mistake("each row still has to be divided by its sum")
def not_normalised(x, pi, P):
    joint = _joint(x, pi, P)
    return np.exp(joint - joint.max(axis=1, keepdims=True))


@ink_responsibilities.mistake("the whole table sums to 1; it is each picture's row that must")
def over_the_table(x, pi, P):
    return softmax(_joint(x, pi, P))


@ink_responsibilities.mistake(
    "whole sums were NaN and became 0, so that π alone is left: 0 ln 0 is 0, term by term"
)
def nan_replaced(x, pi, P):
    logs = np.nan_to_num(x @ np.log(P).T + (1 - x) @ np.log1p(-P).T)
    return softmax(np.log(pi) + logs, axis=1)


for word, put in {"0": 0.0, "equal shares": 1 / 3}.items():

    @ink_responsibilities.mistake(
        f"0/0 was replaced by {word}, not avoided: before exp subtract each row's own largest log"
    )
    def quotient_replaced(x, pi, P, put=put):
        return np.nan_to_num(product_of_factors(x, pi, P), nan=put)


learn_templates = Exercise(
    "learn-templates",
    chapter="12",
    hint="(the ink that template k claims + c) over (the pictures that it claims + 2c).",
    praise="and a template that claims nothing goes back to ½",
)


@learn_templates.draw
def claims(rng):
    x = (rng.random((30, 6)) < 0.4).astype(float)
    x[:, 0], x[:, 1] = 0.0, 1.0
    r = rng.dirichlet([0.5, 0.5, 0.5], size=30)
    r[:, 2] = 0.0  # one template claims nothing
    return x, r / r.sum(axis=1, keepdims=True), float(rng.uniform(0.05, 2.0))


@learn_templates.reference
def smoothed(x, r, c):
    return (r.T @ x + c) / (r.sum(axis=0)[:, None] + 2 * c)


@learn_templates.mistake("divide by what template k claims, N_k, and not by all N pictures")
def over_all(x, r, c):
    return (r.T @ x + c) / (len(x) + 2 * c)


@learn_templates.mistake(
    "c counts ink alone: for each imagined inked picture there is one without ink, so 2c below"
)
def one_sided(x, r, c):
    return (r.T @ x + c) / (r.sum(axis=0)[:, None] + c)


@learn_templates.mistake(
    "the prior is missing: a template without pictures is 0/0, and p is 0 or 1"
)
def no_prior(x, r, c):
    return r.T @ x / r.sum(axis=0)[:, None]


@learn_templates.mistake(
    "this is the mean of the posterior under Beta(1 + c, 1 + c); its highest point has c and 2c"
)
def posterior_mean(x, r, c):
    return smoothed(x, r, 1 + c)


for word, put in {"½": 0.5, "0": 0.0}.items():

    @learn_templates.mistake(f"the prior is missing, and where that gave 0/0, {word} was put in")
    def no_prior_and_patched(x, r, c, put=put):
        return np.nan_to_num(no_prior(x, r, c), nan=put)


@learn_templates.mistake("c is missing below: 2c imagined pictures, half of them with ink")
def prior_only_above(x, r, c):
    return (r.T @ x + c) / r.sum(axis=0)[:, None]


@learn_templates.mistake("c is missing above: c of the imagined pictures have ink")
def prior_only_below(x, r, c):
    return r.T @ x / (r.sum(axis=0)[:, None] + 2 * c)


@learn_templates.mistake("this is the highest point of Beta(c, c); the prior is Beta(1 + c, 1 + c)")
def another_prior(x, r, c):
    return smoothed(x, r, c - 1)


@learn_templates.mistake("a pixel has two values, with or without ink: 2c below, not Kc")
def as_many_as_templates(x, r, c):
    return (r.T @ x + c) / (r.sum(axis=0)[:, None] + len(r.T) * c)


@learn_templates.mistake("a pixel has two values, with or without ink: 2c below, not Dc")
def as_many_as_pixels(x, r, c):
    return (r.T @ x + c) / (r.sum(axis=0)[:, None] + len(x.T) * c)


@learn_templates.mistake("each picture counts wholly for its likeliest template; claims are soft")
def hard_claims(x, r, c):
    return smoothed(x, np.eye(len(r.T))[r.argmax(axis=1)], c)


loop_of_pictures = Exercise(
    "loop-of-pictures",
    chapter="12",
    hint="Each row: infer, then L = Σ ln p(x_n), plus ln Beta(p; 1 + c, 1 + c) of every p; learn.",
    praise="this is all that em.fit does",
)


@loop_of_pictures.draw
def pictures_and_a_start(rng):
    x, _, P = _pictures(rng, 40, 3, 8)
    x[0], x[1] = 1.0, 0.0  # so that learning without the prior finds no p of 0 or 1 at first
    return x, np.full(3, 1 / 3), 0.3 + 0.4 * P, float(rng.uniform(0.1, 2.0))


def _log_prior(P, c):
    return (c * (np.log(P) + np.log1p(-P)) - betaln(1 + c, 1 + c)).sum()


def _bound(a):
    return logsumexp(a, axis=1).sum()


def _trace(
    x,
    pi,
    P,
    c,
    *,
    n=20,
    bound=_bound,
    log_prior=_log_prior,
    learn_with=None,
    after_learning=False,
    of_pi=0.0,
    keep_pi=False,
):
    """Return the objective of each iteration; the options are the known slips."""
    trace = []
    for _ in range(n):
        a = _joint(x, pi, P)
        objective = bound(a) + log_prior(P, c)
        r = softmax(a, axis=1)
        if not keep_pi:
            pi = (r.sum(axis=0) + of_pi) / (len(x) + len(pi) * of_pi)
        P = smoothed(x, r, c if learn_with is None else learn_with)
        if after_learning:
            objective = (r * (_joint(x, pi, P) - np.log(r))).sum() + log_prior(P, c)
        trace.append(objective)
    return np.array(trace)


@loop_of_pictures.reference
def trace_of_pictures(x, pi, P, c):
    return _trace(x, pi, P, c)


@loop_of_pictures.mistake("ln p(P) is missing: learning raises L + ln p(P), and L alone may fall")
def prior_not_counted(x, pi, P, c):
    return _trace(x, pi, P, c, log_prior=lambda P, c: 0.0)


@loop_of_pictures.mistake(
    "the constant of the prior is missing: ln B(1 + c, 1 + c) for each entry of P"
)
def constant_dropped(x, pi, P, c):
    return _trace(
        x, pi, P, c, log_prior=lambda P, c: _log_prior(P, c) + P.size * betaln(1 + c, 1 + c)
    )


@loop_of_pictures.mistake("the prior stands once, for P; here it is counted for every picture")
def prior_for_each_datum(x, pi, P, c):
    return _trace(x, pi, P, c, log_prior=lambda P, c: len(x) * _log_prior(P, c))


@loop_of_pictures.mistake("these are the values after learning; wanted those after inference")
def after_learning(x, pi, P, c):
    return _trace(x, pi, P, c, after_learning=True)


@loop_of_pictures.mistake(
    "the prior is in the bound and not in the learning step, which then raises another number"
)
def learned_without_prior(x, pi, P, c):
    return _trace(x, pi, P, c, learn_with=1e-300)


@loop_of_pictures.mistake("π has no prior here: π_k = N_k / N")
def prior_on_weights(x, pi, P, c):
    return _trace(x, pi, P, c, of_pi=c)


@loop_of_pictures.mistake("the entropy of q is missing from L: this is E_q[ln p(x, z)] alone")
def entropy_forgotten(x, pi, P, c):
    return _trace(x, pi, P, c, bound=lambda a: (softmax(a, axis=1) * a).sum())


@loop_of_pictures.mistake("L is the mean over the pictures; wanted is the sum")
def bound_per_picture(x, pi, P, c):
    return _trace(x, pi, P, c, bound=lambda a: logsumexp(a, axis=1).mean())


@loop_of_pictures.mistake("the first row is that of the second iteration: the start is missing")
def row_too_late(x, pi, P, c):
    return _trace(x, pi, P, c, n=21)[1:]


@loop_of_pictures.mistake("π is never learned: it is N_k / N after each inference")
def weights_kept(x, pi, P, c):
    return _trace(x, pi, P, c, keep_pi=True)


@loop_of_pictures.mistake("P is learned as a mean, (ink + 1 + c)/(N_k + 2 + 2c): EM takes the mode")
def learned_as_a_mean(x, pi, P, c):
    return _trace(x, pi, P, c, learn_with=1 + c)


@loop_of_pictures.mistake("the constant of the prior stands once; each entry of P has one")
def constant_once(x, pi, P, c):
    more = (P.size - 1) * betaln(1 + c, 1 + c)
    return _trace(x, pi, P, c) + more


@loop_of_pictures.mistake(
    "the constant has the wrong sign: the density is divided by B(1 + c, 1 + c)"
)
def constant_turned(x, pi, P, c):
    return _trace(x, pi, P, c) + 2 * P.size * betaln(1 + c, 1 + c)


@loop_of_pictures.mistake("the prior in the objective is Beta(c, c); it is Beta(1 + c, 1 + c)")
def another_prior_counted(x, pi, P, c):
    return _trace(x, pi, P, c, log_prior=lambda P, c_: _log_prior(P, c - 1))
