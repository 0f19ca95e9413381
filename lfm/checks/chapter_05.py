"""The exercises of chapter 05: variational Bayes."""

import numpy as np
from scipy.special import digamma, gammaln, logsumexp, softmax

from lfm.checks.exercise import Exercise

mean_field_gaussian = Exercise(
    "mean-field-gaussian",
    chapter="05",
    hint="Collect the terms of -½(z - μ)ᵀΛ(z - μ) in z₁, put m₂ for z₂, and find the top.",
    praise="the other factor enters by its mean alone",
)


@mean_field_gaussian.draw
def correlated_pair(rng):
    # The correlation is strong enough to show, and the two precisions differ.
    sd, rho = rng.uniform(0.3, 3, size=2), rng.choice([-1, 1]) * rng.uniform(0.3, 0.95)
    cov = np.outer(sd, sd) * np.array([[1, rho], [rho, 1]])
    return rng.normal(size=2), np.linalg.inv(cov), float(rng.normal(scale=2))


@mean_field_gaussian.reference
def best_mean(mu, Lam, m2):
    return mu[0] - Lam[0, 1] / Lam[0, 0] * (m2 - mu[1])


@mean_field_gaussian.mistake("the sign: a positive entry of the precision pulls the means apart")
def wrong_sign(mu, Lam, m2):
    return mu[0] + Lam[0, 1] / Lam[0, 0] * (m2 - mu[1])


@mean_field_gaussian.mistake("divided by the precision of the other factor")
def other_precision(mu, Lam, m2):
    return mu[0] - Lam[0, 1] / Lam[1, 1] * (m2 - mu[1])


@mean_field_gaussian.mistake("what counts is how far the other mean is from its own place, m₂ - μ₂")
def other_mean_not_centred(mu, Lam, m2):
    return mu[0] - Lam[0, 1] / Lam[0, 0] * m2


@mean_field_gaussian.mistake("`Lam` is a precision already; it is not to be inverted")
def precision_inverted(mu, Lam, m2):
    return best_mean(mu, np.linalg.inv(Lam), m2)


@mean_field_gaussian.mistake("this is the best mean of q₂ if q₁ has the mean m2; wanted is q₁")
def other_factor(mu, Lam, m2):
    return best_mean(mu[::-1], Lam[::-1, ::-1], m2)


@mean_field_gaussian.mistake("this is where the mean ends; wanted is the update for this m₂")
def where_it_ends(mu, Lam, m2):
    return mu[0]


@mean_field_gaussian.mistake("not divided by Λ₁₁, the precision of q₁")
def not_divided(mu, Lam, m2):
    return mu[0] - Lam[0, 1] * (m2 - mu[1])


@mean_field_gaussian.mistake("μ₁ is missing: where z₂ is at home, so is z₁")
def own_mean_forgotten(mu, Lam, m2):
    return -Lam[0, 1] / Lam[0, 0] * (m2 - mu[1])


@mean_field_gaussian.mistake("m₂ is compared with μ₁; it belongs to z₂, whose place is μ₂")
def away_from_the_wrong_place(mu, Lam, m2):
    return mu[0] - Lam[0, 1] / Lam[0, 0] * (m2 - mu[0])


@mean_field_gaussian.mistake("divided by √(Λ₁₁Λ₂₂), as in a correlation; wanted is Λ₁₁")
def divided_as_a_correlation(mu, Lam, m2):
    return mu[0] - Lam[0, 1] / np.sqrt(Lam[0, 0] * Lam[1, 1]) * (m2 - mu[1])


gamma_rate = Exercise(
    "gamma-rate",
    chapter="05",
    hint="Collect the terms of E[ln p(X, μ, τ)] that are linear in τ.",
    praise="the spread of q(μ) is part of it",
)


@gamma_rate.draw
def data_and_factors(rng):
    x = rng.normal(1, 2, size=rng.choice([1, 3, 8]))
    return x, *map(float, [*rng.normal(size=2), *rng.uniform(0.5, 4, size=3)])


@gamma_rate.reference
def updated_rate(x, mean, mean_0, prec, strength, rate):
    squares = np.square(x - mean).sum() + strength * (mean - mean_0) ** 2
    return rate + 0.5 * (squares + (len(x) + strength) / prec)


@gamma_rate.mistake("μ is treated as known: E[(x - μ)²] is (x - E[μ])² plus the variance of μ")
def mean_known(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, np.inf, strength, rate)


@gamma_rate.mistake("the prior of μ is missing; it contains τ as well")
def prior_of_the_mean_forgotten(x, mean, mean_0, prec, strength, rate):
    return rate + 0.5 * (np.square(x - mean).sum() + len(x) / prec)


@gamma_rate.mistake("the half is missing: the exponent of a Gaussian is -½ τ (x - μ)²")
def half_forgotten(x, mean, mean_0, prec, strength, rate):
    return 2 * updated_rate(x, mean, mean_0, prec, strength, rate) - rate


@gamma_rate.mistake("λ_N is a precision; the variance of μ is 1/λ_N")
def precision_for_variance(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, 1 / prec, strength, rate)


@gamma_rate.mistake("the variance of μ is in each of the N + λ₀ squares, not in one")
def variance_once(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, np.inf, strength, rate) + 0.5 / prec


@gamma_rate.mistake("the variance of μ is missing from the prior's square: N + λ₀ squares have it")
def variance_in_the_data_only(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, prec, strength, rate) - 0.5 * strength / prec


@gamma_rate.mistake("the prior's rate b₀ is missing")
def rate_forgotten(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, prec, strength, rate) - rate


@gamma_rate.mistake("the squares are about x̄; wanted is about the mean of the current q(μ)")
def about_the_mean_of_the_data(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, x.mean(), mean_0, prec, strength, rate)


@gamma_rate.mistake("this is the rate of the exact posterior; wanted is that of q(τ), given q(μ)")
def exact_rate(x, mean, mean_0, prec, strength, rate):
    pull = strength * len(x) / (strength + len(x)) * (x.mean() - mean_0) ** 2
    return rate + 0.5 * (np.square(x - x.mean()).sum() + pull)


@gamma_rate.mistake("1/√prec is the standard deviation of μ; a mean square has its variance")
def deviation_for_variance(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, np.sqrt(prec), strength, rate)


@gamma_rate.mistake("λ₀ is missing: the prior's square counts λ₀ times, its variance, too")
def strength_forgotten(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, prec, 1.0, rate)


@gamma_rate.mistake("the prior's square counts λ₀ times, so N + λ₀ variances, not N + 1")
def one_more_datum(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, prec, strength, rate) + 0.5 * (1 - strength) / prec


estimate_of_the_evidence = Exercise(
    "estimate-of-the-evidence",
    chapter="05",
    hint="Add ln K! - ln I! to each bound first, I counted from its own sizes; then compare.",
    praise="you compared L + ln M, and not L alone",
)


@estimate_of_the_evidence.draw
def ends_of_a_mixture(rng):
    # By L alone fewer components in use win, by L + ln M more; the most of all have a low L. The
    # best end has been reached twice, with its components in another order.
    k = rng.integers(5, 8)
    few, more, most = 2, 3, rng.integers(4, k)
    base, further = rng.uniform(-500, -300), np.log(k - 2)  # ln M of three in use, less that of two
    lost = gammaln(k - 2) - gammaln(k - most + 1)  # ln M of the most in use, less that of three
    bounds = base + np.array([rng.uniform(0.3, 0.7) * further, 0, 0, -lost - rng.uniform(0.5, 2)])
    # Sizes lie on both sides of 1, and a component of size 1 is in use.
    sizes = rng.uniform(0.02, 0.98, size=(4, k))  # the idle ones
    for row, used in zip(sizes, (few, more, more, most), strict=True):
        row[rng.permutation(k)[:used]] = [1.0, *rng.uniform(1, 90, size=used - 1)]
    order = rng.permutation(4)
    return bounds[order], sizes[order]


def _log_modes(sizes) -> np.ndarray:
    """Return ln(K!/I!) of each end."""
    return gammaln(sizes.shape[1] + 1) - gammaln((sizes < 1).sum(1) + 1)


@estimate_of_the_evidence.reference
def highest_estimate(bounds, sizes):
    return (bounds + _log_modes(sizes)).max()


@estimate_of_the_evidence.mistake(
    "the end is chosen by L, and ln M added to that one only; compare L + ln M of all ends"
)
def chosen_by_the_bound(bounds, sizes):
    return (bounds + _log_modes(sizes))[bounds.argmax()]


@estimate_of_the_evidence.mistake("this is the highest L; each end stands for M equal modes")
def bound_alone(bounds, sizes):
    return bounds.max()


@estimate_of_the_evidence.mistake(
    "M = K! at every end; exchanging two idle components changes nothing, so divide by I!"
)
def idle_ones_counted(bounds, sizes):
    return bounds.max() + gammaln(sizes.shape[1] + 1)


@estimate_of_the_evidence.mistake("ln M is added: q covers one mode of M, and so lies ln M too low")
def subtracted(bounds, sizes):
    return (bounds - _log_modes(sizes)).max()


@estimate_of_the_evidence.mistake("M is added, not ln M; L is the log of a probability")
def modes_for_their_log(bounds, sizes):
    return (bounds + np.exp(_log_modes(sizes))).max()


@estimate_of_the_evidence.mistake(
    "only the components in use are exchanged among themselves; they may also change places with "
    "idle ones: K!/I!"
)
def in_use_among_themselves(bounds, sizes):
    return (bounds + gammaln((sizes >= 1).sum(1) + 1)).max()


@estimate_of_the_evidence.mistake(
    "this counts which components are in use, but not their order: K!/I!, not K!/(I! U!)"
)
def choice_without_order(bounds, sizes):
    return (bounds + _log_modes(sizes) - gammaln((sizes >= 1).sum(1) + 1)).max()


@estimate_of_the_evidence.mistake(
    "divided by U!, for those in use; it is exchanging idle ones that changes nothing: K!/I!"
)
def divided_by_those_in_use(bounds, sizes):
    in_use = (sizes >= 1).sum(1)
    return (bounds + gammaln(sizes.shape[1] + 1) - gammaln(in_use + 1)).max()


@estimate_of_the_evidence.mistake("Γ(n + 1) is n!, so ln K! is gammaln(K + 1), and ln I! likewise")
def gamma_off_by_one(bounds, sizes):
    return (bounds + gammaln(sizes.shape[1]) - gammaln((sizes < 1).sum(1))).max()


@estimate_of_the_evidence.mistake(
    "all ends are added up; two of them may be the same end, reached twice, and count once"
)
def added_up(bounds, sizes):
    return logsumexp(bounds + _log_modes(sizes))


@estimate_of_the_evidence.mistake(
    "different ends are added up; wanted is what the one end that you keep says alone"
)
def distinct_ends_added_up(bounds, sizes):
    return logsumexp(np.unique(np.round(bounds + _log_modes(sizes), 9)))


@estimate_of_the_evidence.mistake("a component is idle if N_k < 1; one of size 1 is in use")
def size_one_counted_as_idle(bounds, sizes):
    return (bounds + gammaln(sizes.shape[1] + 1) - gammaln((sizes <= 1).sum(1) + 1)).max()


@estimate_of_the_evidence.mistake("this is the end with the most modes; compare L + ln M")
def most_modes(bounds, sizes):
    ends = _log_modes(sizes)
    return (bounds + ends)[ends.argmax()]


expected_log_det = Exercise(
    "expected-log-det",
    chapter="05",
    hint="Differentiate the log of the Wishart's normaliser with respect to ν/2.",
    praise="what weighs the size of components against each other",
)


@expected_log_det.draw
def wishart(rng):
    d = 1 + int(4 * rng.random())
    a = rng.normal(size=(d, d))
    return float(d - 1 + rng.choice([0.3, 1.0, 6.0])), a @ a.T + np.eye(d)


def mean_log_det(nu, W, first=1):
    d = len(W)
    halves = 0.5 * (nu + 1 - np.arange(first, first + d))
    return digamma(halves).sum() + d * np.log(2) + np.linalg.slogdet(W)[1]


@expected_log_det.reference
def mean_of_the_log(nu, W):
    return mean_log_det(nu, W)


@expected_log_det.mistake(
    "the digammas are off by one: (ν + 1 - i)/2 for i = 1 to D, so ν/2 comes first"
)
def off_by_one(nu, W):
    return mean_log_det(nu, W, first=0)


@expected_log_det.mistake("D ln 2 is missing")
def log_2_forgotten(nu, W):
    return mean_log_det(nu, W) - len(W) * np.log(2)


@expected_log_det.mistake("this is ln|E[Λ]|; the mean of the log is smaller (Jensen)")
def log_det_of_the_mean(nu, W):
    return np.linalg.slogdet(nu * W)[1]


@expected_log_det.mistake("ln|W| has the wrong sign: W is a scale of precisions")
def scale_inverted(nu, W):
    return mean_log_det(nu, W) - 2 * np.linalg.slogdet(W)[1]


@expected_log_det.mistake("all D digammas have ν/2; the i-th has (ν + 1 - i)/2")
def all_alike(nu, W):
    d = len(W)
    return d * digamma(nu / 2) + d * np.log(2) + np.linalg.slogdet(W)[1]


@expected_log_det.mistake("ln 2 comes D times, once for each dimension: ln|2W| = D ln 2 + ln|W|")
def log_2_once(nu, W):
    return mean_log_det(nu, W) - (len(W) - 1) * np.log(2)


@expected_log_det.mistake("ln in place of ψ: the derivative of ln Γ is the digamma")
def log_for_digamma(nu, W):
    d = len(W)
    halves = 0.5 * (nu - np.arange(d))
    return np.log(halves).sum() + d * np.log(2) + np.linalg.slogdet(W)[1]


@expected_log_det.mistake("ν is not halved: the rule needs the derivative at ν/2")
def nu_not_halved(nu, W):
    return digamma(nu - np.arange(len(W))).sum() + np.linalg.slogdet(2 * W)[1]


@expected_log_det.mistake("steps of 1 between the digammas; the i-th has ν/2 + (1 - i)/2")
def steps_of_one(nu, W):
    return digamma(nu / 2 - np.arange(len(W))).sum() + np.linalg.slogdet(2 * W)[1]


@expected_log_det.mistake("the digammas go up; the i-th has (ν + 1 - i)/2, with a minus")
def steps_upwards(nu, W):
    return digamma((nu + np.arange(len(W))) / 2).sum() + np.linalg.slogdet(2 * W)[1]


best_of_starts = Exercise(
    "best-of-starts",
    chapter="05",
    hint="From each start: q_a from E_b[ln p], q_b from E_a[ln p], 100 times; keep the highest L.",
    praise="you compared bounds, and kept the product with the highest one",
)


@best_of_starts.draw
def tables_and_starts(rng):
    # A broad optimum, a block of four alike, and a narrow one, a single cell: by chance one or the
    # other has the higher bound, but the narrow one has always the higher E_q[ln p]. A third is
    # lower than both; where the broad one wins it is far from it, so that KL(p‖q) is always least
    # at the narrow one. Half of the starts lead to one of the lower two, at once. The one start
    # that leads to the best begins far from it, so that after one sweep its bound is still low.
    broad_wins = rng.random() < 0.5
    joint = np.full((4, 5), 3e-5) * rng.uniform(0.5, 1.5, size=(4, 5))
    if broad_wins:
        joint[:2, 3] *= 1e-3
        joint[3, :3] *= 1e-3, 1e-3, 10
        joint[2, 3] *= 10
    joint[:2, :2] = (0.48 if broad_wins else 0.32) / 4 * rng.uniform(0.9, 1.1, size=(2, 2))
    joint[2, 2] = 0.35 if broad_wins else 0.50
    joint[3, 3] = 0.15
    columns = [0, 2, 2, 3, 3] if broad_wins else [2, 0, 1, 3, 3]
    columns.append(rng.choice(columns[1:]))
    starts = np.full((6, 5), 0.005)
    starts[np.arange(6), columns] = 0.98
    starts[0] = 0.01
    starts[0, [columns[0], 4]] = 0.15, 0.82
    rows, cols = rng.permutation(4), rng.permutation(5)
    return (
        np.log(joint[rows][:, cols]) + rng.choice([-1200.0, -3.0]),
        rng.permutation(starts)[:, cols],
    )


def _ends(log_joint, starts, *, update=softmax, sweeps=100) -> list:
    """Return the product and the bound that the ascent reaches from each start."""
    found = []
    for qb in starts:
        for _ in range(sweeps):
            qa = update(log_joint @ qb)
            qb = update(qa @ log_joint)
        q = np.outer(qa, qb)
        found.append((q, (q * (log_joint - np.log(q))).sum()))
    return found


@best_of_starts.reference
def highest_end(log_joint, starts):
    return max(_ends(log_joint, starts), key=lambda end: end[1])[0]


@best_of_starts.mistake("this is the end of the first start; compare the bounds of all ends")
def first_end(log_joint, starts):
    return _ends(log_joint, starts[:1])[0][0]


@best_of_starts.mistake("this is the end of the last start; compare the bounds of all ends")
def last_end(log_joint, starts):
    return _ends(log_joint, starts[-1:])[0][0]


@best_of_starts.mistake("this is the end with the lowest bound; wanted is the highest")
def lowest_end(log_joint, starts):
    return min(_ends(log_joint, starts), key=lambda end: end[1])[0]


@best_of_starts.mistake(
    "the most peaked end: chosen by E_q[ln p] without the entropy, or by KL(p‖q), not KL(q‖p)"
)
def without_the_entropy(log_joint, starts):
    ends = [q for q, _ in _ends(log_joint, starts)]
    return max(ends, key=lambda q: (q * log_joint).sum())


@best_of_starts.mistake("this is the average of the ends, which is no product and no optimum")
def average_of_ends(log_joint, starts):
    return np.mean([q for q, _ in _ends(log_joint, starts)], axis=0)


@best_of_starts.mistake(
    "where the log joint is below -1000 the exponentials are all 0 and their ratio is 0/0: "
    "subtract the largest log first"
)
def exponentials_that_vanish(log_joint, starts):
    def naive(logs):
        return np.exp(logs) / np.exp(logs).sum()

    found = _ends(log_joint, starts, update=naive)
    return max(found, key=lambda end: end[1])[0]


@best_of_starts.mistake("this is the posterior, p(a, b | x); wanted is a product")
def posterior_itself(log_joint, starts):
    return softmax(log_joint)


@best_of_starts.mistake("the product of the posterior's marginals has not the highest bound")
def product_of_marginals(log_joint, starts):
    p = softmax(log_joint)
    return np.outer(p.sum(axis=1), p.sum(axis=0))


@best_of_starts.mistake(
    "this is where most starts end, and their average, too; wanted is the end of highest L"
)
def most_starts(log_joint, starts):
    ends = [q for q, _ in _ends(log_joint, starts)]
    return max(ends, key=lambda q: sum(np.allclose(q, other, atol=1e-3) for other in ends))


@best_of_starts.mistake(
    "this is always the broadest end: chosen by the entropy of q alone, or from one uniform start"
)
def entropy_alone(log_joint, starts):
    ends = [q for q, _ in _ends(log_joint, starts)]
    return min(ends, key=lambda q: (q * np.log(q)).sum())


@best_of_starts.mistake("the start is chosen by its L after one sweep; compare L at the ends")
def chosen_early(log_joint, starts):
    early = [bound for _, bound in _ends(log_joint, starts, sweeps=1)]
    return _ends(log_joint, starts[[np.argmax(early)]])[0][0]
