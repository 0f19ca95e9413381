"""The exercises of chapter 03: the Gaussian mixture."""

import numpy as np
from scipy.special import logsumexp

from lfm import bound
from lfm.checks.exercise import Exercise
from lfm.distributions import InverseWishart
from lfm.gaussian_mixture import GaussianMixture

number_of_parameters = Exercise(
    "number-of-parameters",
    chapter="03",
    hint="Count weights, means, covariances, and only what is free.",
    praise="what BIC charges for",
)


@number_of_parameters.draw
def sizes(rng):
    return int(rng.choice([1, int(rng.integers(2, 9))])), int(rng.integers(1, 6))


@number_of_parameters.reference
def free_parameters(k, d):
    return k - 1 + k * d + k * d * (d + 1) // 2


@number_of_parameters.mistake("one too many: the weights sum to 1, so only K - 1 are free")
def all_weights_free(k, d):
    return k + k * d + k * d * (d + 1) // 2


@number_of_parameters.mistake("covariances are symmetric: D(D+1)/2 numbers each, not D²")
def covariances_not_symmetric(k, d):
    return k - 1 + k * d + k * d**2


@number_of_parameters.mistake("the weights are missing: K numbers that sum to 1, so K - 1 are free")
def weights_not_counted(k, d):
    return k * d + k * d * (d + 1) // 2


@number_of_parameters.mistake(
    "the means are missing: D numbers for each component; or the covariances were counted without"
    " their diagonal: D(D+1)/2 numbers, not D(D-1)/2"
)
def means_not_counted(k, d):
    return k - 1 + k * d * (d + 1) // 2


@number_of_parameters.mistake("one covariance is counted; each component has its own")
def one_covariance_for_all(k, d):
    return k - 1 + k * d + d * (d + 1) // 2


@number_of_parameters.mistake("these are diagonal covariances")
def covariances_diagonal(k, d):
    return k - 1 + k * d + k * d


@number_of_parameters.mistake(
    "every number was counted; free are K - 1 weights, and D(D+1)/2 numbers of each covariance"
)
def nothing_left_out(k, d):
    return k + k * d + k * d**2


@number_of_parameters.mistake("the covariances are missing: D(D+1)/2 numbers for each component")
def covariances_not_counted(k, d):
    return k - 1 + k * d


responsibilities = Exercise(
    "responsibilities",
    chapter="03",
    hint="ln π_k + ln N(x; μ_k, Σ_k), then a softmax over k.",
    praise="near and far, each row in its own log domain",
)


def mixture(rng):
    k, d = int(rng.integers(2, 5)), int(rng.integers(2, 4))
    a = rng.normal(size=(k, d, d))
    covs = a @ a.mT + 0.3 * np.eye(d)
    model = GaussianMixture(rng.dirichlet(np.ones(k)), rng.normal(size=(k, d)), covs)
    return model.sample(15, rng=rng)[0], model


@responsibilities.draw
def data_and_mixture(rng):
    x, m = mixture(rng)
    pi, mu, Sigma = m.weights, np.array(m.means), np.array(m.covs)
    if rng.integers(3):
        x[::5] += 500  # far from all components, beside rows near them that tell mistakes apart
    else:
        x += 500  # all of them far, and thousands of nats apart
        mu[:], Sigma[:] = mu[0], Sigma[0]  # so that the shares are not 0 and 1
    return x, pi, mu, Sigma


@responsibilities.reference
def posterior_of_the_mixture(x, pi, mu, Sigma):
    return GaussianMixture(pi, mu, Sigma).infer(x).probs


def log_joint(x, pi, mu, Sigma, log_det=0.5, inverse=np.linalg.inv):
    y = x[:, None, :] - mu  # (N, K, D)
    squares = np.einsum("nki,kij,nkj->nk", y, inverse(Sigma), y)
    dets = np.linalg.slogdet(Sigma)[1]
    return np.log(pi) - log_det * dets - 0.5 * squares - 0.5 * x.shape[1] * np.log(2 * np.pi)


@responsibilities.mistake(
    "the largest log of the whole table was subtracted: rows that lie far below it still underflow"
    " to 0/0. Subtract from each row the largest of its own"
)
def largest_of_the_table(x, pi, mu, Sigma):
    logs = log_joint(x, pi, mu, Sigma)
    p = np.exp(logs - logs.max())
    return p / p.sum(axis=-1, keepdims=True)


@responsibilities.mistake(
    "these are the joint densities π_k N(x; μ_k, Σ_k); divide each row by its sum (Bayes' rule)"
)
def joint_densities(x, pi, mu, Sigma):
    return np.exp(log_joint(x, pi, mu, Sigma))


@responsibilities.mistake(
    "0/0 was hidden, by a small number below the fraction or by a 0 in place of NaN, and far rows"
    " became 0; each row sums to 1: stay in the log domain"
)
def small_number_below(x, pi, mu, Sigma):
    p = np.exp(log_joint(x, pi, mu, Sigma))
    return p / (p.sum(axis=-1, keepdims=True) + 1e-300)


@responsibilities.mistake("this is all or nothing; a responsibility is a probability")
def all_or_nothing(x, pi, mu, Sigma):
    return np.eye(len(pi))[log_joint(x, pi, mu, Sigma).argmax(axis=-1)]


@responsibilities.mistake("these are the logs of the responsibilities; exponentiate them")
def logs_of_responsibilities(x, pi, mu, Sigma):
    logs = log_joint(x, pi, mu, Sigma)
    return logs - logsumexp(logs, axis=-1, keepdims=True)


@responsibilities.mistake("each column sums to 1; each row should: the sum is over k")
def normalised_over_data(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, pi, mu, Sigma).T).T


@responsibilities.mistake(
    "right near the components, but far away every density underflows and this is 0/0: stay in the"
    " log domain and subtract each row's largest log (log-sum-exp)"
)
def plain_exponentials(x, pi, mu, Sigma):
    p = np.exp(log_joint(x, pi, mu, Sigma))
    return p / p.sum(axis=-1, keepdims=True)


@responsibilities.mistake(
    "the far rows were patched with equal shares, not computed: stay in the log domain and subtract"
    " each row's largest log"
)
def far_rows_equal(x, pi, mu, Sigma):
    p = np.maximum(np.exp(log_joint(x, pi, mu, Sigma)), 1e-300)
    return p / p.sum(axis=-1, keepdims=True)


@responsibilities.mistake(
    "the far rows were patched with the weights π, not computed: stay in the log domain and"
    " subtract each row's largest log"
)
def far_rows_weights(x, pi, mu, Sigma):
    p = np.exp(log_joint(x, pi, mu, Sigma))
    total = p.sum(axis=-1, keepdims=True)
    return np.where(total > 0, p / np.where(total > 0, total, 1.0), pi)


@responsibilities.mistake("the ½ before the squared distance is missing")
def half_forgotten(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, pi, mu, Sigma, inverse=lambda S: 2 * np.linalg.inv(S)))


@responsibilities.mistake("the determinant has lost its square root: it is ½ ln|Σ|")
def determinant_without_root(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, pi, mu, Sigma, log_det=1.0))


@responsibilities.mistake(
    "the determinant is missing; it differs from component to component and does not cancel"
)
def determinant_forgotten(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, pi, mu, Sigma, log_det=0.0))


@responsibilities.mistake("the covariance stands where its inverse belongs")
def covariance_not_inverted(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, pi, mu, Sigma, inverse=np.asarray))


@responsibilities.mistake("the weights π are missing")
def weights_forgotten(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, np.ones_like(pi), mu, Sigma))


def less(x, pi, mu, Sigma, of):
    """Return the shares, where `of` says what is subtracted from the logs first."""
    logs = log_joint(x, pi, mu, Sigma)
    p = np.exp(logs - of(logs))
    return p / p.sum(axis=-1, keepdims=True)


@responsibilities.mistake(
    "the row's smallest log was subtracted, and the others overflow: subtract the row's largest"
)
def smallest_of_the_row(*given):
    return less(*given, of=lambda logs: logs.min(axis=1, keepdims=True))


@responsibilities.mistake(
    "the row's mean log was subtracted, and the largest overflows: subtract the row's largest"
)
def mean_of_the_row(*given):
    return less(*given, of=lambda logs: logs.mean(axis=1, keepdims=True))


@responsibilities.mistake(
    "the first column was subtracted, whatever it holds: subtract the row's largest log"
)
def first_of_the_row(*given):
    return less(*given, of=lambda logs: logs[:, :1])


@responsibilities.mistake("the whole table sums to 1; each row should: the sum is over k")
def normalised_over_all(*given):
    logs = log_joint(*given)
    return np.exp(logs - logsumexp(logs))


@responsibilities.mistake("the row's largest log was subtracted; divide each row by its sum, too")
def not_divided_by_the_sum(*given):
    logs = log_joint(*given)
    return np.exp(logs - logs.max(axis=1, keepdims=True))


learn_covariances = Exercise(
    "learn-covariances",
    chapter="03",
    hint="N_k first, then the new means, then the scatter about them.",
    praise="weighted moments, with N_k below",
)


@learn_covariances.draw
def data_and_memberships(rng):
    x, m = mixture(rng)
    r = np.array(m.infer(x).probs)
    r[:, 1:] *= rng.uniform(0, 1) ** 3  # so that a component may claim less than one datum
    r[:, 0] += 1 - r.sum(axis=1)
    return x, r


def covariances(x, r, by=None, mean=None):
    n_k = r.sum(axis=0)
    mu = (r.T @ x) / n_k[:, None] if mean is None else mean
    y = x[:, None, :] - mu
    return np.einsum("nk,nki,nkj->kij", r, y, y) / (n_k if by is None else by)[:, None, None]


@learn_covariances.reference
def weighted_covariances(x, r):
    return covariances(x, r)


@learn_covariances.mistake("divided by N; each component divides by what it claims, N_k")
def divided_by_n(x, r):
    return covariances(x, r, by=np.full(r.shape[1], len(x)))


@learn_covariances.mistake("divided by N_k - 1; maximum likelihood divides by N_k")
def divided_by_one_less(x, r):
    return covariances(x, r, by=r.sum(axis=0) - 1)


@learn_covariances.mistake(
    "divided by N_k or by 1, whichever is more; N_k may be less than 1, and is divided by all the"
    " same"
)
def divided_by_one_at_least(x, r):
    return covariances(x, r, by=np.maximum(r.sum(axis=0), 1))


@learn_covariances.mistake("each datum counts r_nk times, not r_nk squared times")
def squared_weights(x, r):
    mu = (r.T @ x) / r.sum(axis=0)[:, None]
    y = x[:, None, :] - mu
    return np.einsum("nk,nki,nkj->kij", r**2, y, y) / r.sum(axis=0)[:, None, None]


@learn_covariances.mistake(
    "the divisor of np.cov with aweights is corrected; maximum likelihood divides by N_k: ddof=0"
)
def cov_of_numpy(x, r):
    return np.array([np.cov(x.T, aweights=weights) for weights in r.T])


@learn_covariances.mistake(
    "the scatter is taken about the mean of all data; each component has its own"
)
def about_the_common_mean(x, r):
    return covariances(x, r, mean=x.mean(axis=0))


@learn_covariances.mistake("this is the mean of x xᵀ; the scatter is taken about the new mean")
def about_zero(x, r):
    return covariances(x, r, mean=np.zeros(x.shape[1]))


@learn_covariances.mistake("this is the scatter S_k; divide it by what the component claims, N_k")
def scatter_not_divided(x, r):
    return covariances(x, r, by=np.ones(r.shape[1]))


@learn_covariances.mistake(
    "each datum counts wholly for its most probable component; membership is soft"
)
def hard_memberships(x, r):
    return covariances(x, np.eye(r.shape[1])[r.argmax(axis=1)])


@learn_covariances.mistake(
    "the scatter is not weighted: each datum counts as much as the component claims it, r_nk"
)
def scatter_not_weighted(x, r):
    mu = (r.T @ x) / r.sum(axis=0)[:, None]
    return covariances(x, np.ones_like(r), by=r.sum(axis=0), mean=mu)


@learn_covariances.mistake("the variances are right; the covariances off the diagonal are missing")
def variances_alone(x, r):
    return covariances(x, r) * np.eye(x.shape[1])


@learn_covariances.mistake("these are roots: a covariance holds variances, not standard deviations")
def deviations(x, r):
    return np.sqrt(np.abs(covariances(x, r)))


for tiny in (1e-3, 1e-6):

    @learn_covariances.mistake(f"{tiny:g} was added to the diagonal; without a prior nothing is")
    def ridge(x, r, tiny=tiny):
        return covariances(x, r) + tiny * np.eye(x.shape[1])


map_covariance = Exercise(
    "map-covariance",
    chapter="03",
    hint="Add the exponents of likelihood and prior, and compare with S/N_k.",
    praise="it cannot be singular, however few data there are",
)


@map_covariance.draw
def scatter_and_prior(rng):
    d = int(rng.integers(2, 6))
    a, n = rng.normal(size=(2, d, d)), float(rng.integers(0, 3) * rng.uniform(0.5, 5))
    S = a[0] @ a[0].T if n else np.zeros((d, d))  # without data there is no scatter
    return S, n, d + 1 + float(rng.uniform(1, 4)), a[1] @ a[1].T


@map_covariance.reference
def most_probable_covariance(S, n, dof, Psi):
    return InverseWishart(dof, Psi).update(S, n)


@map_covariance.mistake("this is maximum likelihood; the prior adds to numerator and denominator")
def prior_forgotten(S, n, dof, Psi):
    return S / n


@map_covariance.mistake(
    "this is maximum likelihood, patched where n is 0; the prior adds to numerator and denominator,"
    " and then no patch is needed"
)
def prior_forgotten_and_patched(S, n, dof, Psi):
    return S / max(n, 1)


@map_covariance.mistake("the prior has been counted above but not below")
def prior_only_above(S, n, dof, Psi):
    return (S + Psi) / n


@map_covariance.mistake("the prior has been counted below but not above: Ψ adds to the scatter")
def prior_only_below(S, n, dof, Psi):
    return S / (n + dof + len(S) + 1)


@map_covariance.mistake("the scale Ψ adds to the scatter S as it is, not divided by ν")
def scale_divided(S, n, dof, Psi):
    return (S + Psi / dof) / (n + dof + len(S) + 1)


@map_covariance.mistake("this is the prior's mode; the data's scatter and count are missing")
def data_forgotten(S, n, dof, Psi):
    return Psi / (dof + len(S) + 1)


@map_covariance.mistake(
    "this is maximum likelihood, or the prior's mode where n is 0; one formula adds both"
)
def prior_only_without_data(S, n, dof, Psi):
    return S / n if n else Psi / (dof + len(S) + 1)


@map_covariance.mistake(
    "one too few below: it is N_k + ν + D + 1, with the 1 of the density's exponent"
)
def one_forgotten(S, n, dof, Psi):
    return (S + Psi) / (n + dof + len(S))


@map_covariance.mistake("the D of the density's exponent is missing below: it is ν + D + 1")
def dimension_forgotten(S, n, dof, Psi):
    return (S + Psi) / (n + dof + 1)


@map_covariance.mistake("the D + 1 of the density's exponent is missing below")
def exponent_forgotten(S, n, dof, Psi):
    return (S + Psi) / (n + dof)


@map_covariance.mistake(
    "this is the posterior's mean, or the maximum of the density of Λ = Σ⁻¹; the maximum of the"
    " density of Σ divides by N_k + ν + D + 1"
)
def mean_of_the_posterior(S, n, dof, Psi):
    return (S + Psi) / (n + dof - len(S) - 1)


@map_covariance.mistake("S is the scatter, a sum over the data already: it is not multiplied by n")
def scatter_times_count(S, n, dof, Psi):
    return (n * S + Psi) / (n + dof + len(S) + 1)


@map_covariance.mistake("numerator alone: divide by N_k + ν + D + 1")
def numerator_alone(S, n, dof, Psi):
    return S + Psi


@map_covariance.mistake("ν is missing below: it is ν + D + 1, beside N_k")
def dof_forgotten(S, n, dof, Psi):
    return (S + Psi) / (n + len(S) + 1)


k_means_centres = Exercise(
    "k-means-centres",
    chapter="03",
    hint="Assign each datum to its nearest centre, take means, and go on until another round would"
    " not move a centre, however many rounds it takes.",
    praise="EM without uncertainty and without shapes, and you wrote its loop",
)


def one_by_one(n, rng):
    """Return data on a line and two centres between which one datum a round changes hands."""
    x, left, border = [0.0], 0.0, 0.4  # the sum of the data to the left, and where it ends
    while (rest := n - len(x)) > 10:
        before, border = border, (left / len(x) + (n - 1 - left) / rest) / 2  # the sum of all: n-1
        x.append((before + border) / 2)  # beyond the border of the last round, within this one's
        left += x[-1]
    x = np.append(x, np.full(rest, (n - 1 - left) / rest))
    x = (x - x.mean())[:, None] / 10  # so that even steps of 1e-4 are no reason to stop
    return rng.permutation(x), np.array([x[:5].mean(axis=0), x[5:].mean(axis=0)])


@k_means_centres.draw
def clumps_and_centres(rng):
    k, d = int(rng.integers(3, 7)), int(rng.integers(1, 4))
    if rng.random() < 0.4:
        return one_by_one(800, rng)
    x = rng.uniform(0, 9, size=(300, d))  # no clumps, so that it takes many rounds
    centres = x[rng.choice(300, size=k, replace=False)]
    if rng.integers(2):
        centres[rng.integers(k)] += 50  # a centre that no datum is near
    return x, centres


def rounds(x, centres, most=10_000, empty=None, wrong_way=1.0, slow=0.0, level=None):
    last = np.inf
    for _ in range(most):
        squares = ((x[:, None] - centres) ** 2).sum(axis=-1)  # (N, K)
        r = np.eye(len(centres))[(wrong_way * squares).argmin(axis=1)]
        n_k = r.sum(axis=0)[:, None]
        stay = centres if empty is None else np.full_like(centres, empty)
        new = np.where(n_k > 0, (r.T @ x) / np.maximum(n_k, 1), stay)
        total = squares.min(axis=1).sum()
        if np.abs(new - centres).max() <= slow or (level and last - total <= level * total):
            break
        centres, last = new, total
    return centres


@k_means_centres.reference
def centres_at_rest(x, centres):
    return rounds(x, centres)


@k_means_centres.mistake("this is one round; go on until a round moves no centre")
def one_round(x, centres):
    return rounds(x, centres, most=1)


@k_means_centres.mistake(
    "a centre without data became 0/0; where no datum is assigned, the centre stays where it is"
)
def empty_is_nan(x, centres):
    return rounds(x, centres, most=1000, empty=np.nan)


@k_means_centres.mistake(
    "a centre without data was moved to 0; where no datum is assigned, it stays where it is"
)
def empty_is_zero(x, centres):
    return rounds(x, centres, empty=0.0)


@k_means_centres.mistake(
    "a centre without data was moved to a datum; where no datum is assigned, it stays where it is"
)
def empty_is_a_datum(x, centres):
    return rounds(x, centres, empty=x[0])


@k_means_centres.mistake(
    "a centre without data was moved to the farthest datum; where no datum is assigned, it stays"
    " where it is"
)
def empty_is_the_farthest(x, centres):
    squares = ((x[:, None] - centres) ** 2).sum(axis=-1).min(axis=1)
    return rounds(x, centres, empty=x[squares.argmax()])


@k_means_centres.mistake("each datum went to its farthest centre: wanted is the smallest distance")
def farthest_centre(x, centres):
    return rounds(x, centres, most=50, wrong_way=-1.0)


@k_means_centres.mistake("each centre became the mean of all data; it takes those assigned to it")
def mean_of_all_data(x, centres):
    return np.broadcast_to(x.mean(axis=0), centres.shape)


@k_means_centres.mistake("the centres did not move at all")
def centres_as_they_came(x, centres):
    return centres


for little in (1e-3, 1e-4):

    @k_means_centres.mistake(
        f"you stop while centres still move by up to {little:g}; go on until a round moves none"
    )
    def stopped_when_slow(x, centres, slow=little):
        return rounds(x, centres, slow=slow)


@k_means_centres.mistake(
    "you stop when the sum of squares falls slowly; go on until another round moves no centre"
)
def stopped_when_level(x, centres):
    return rounds(x, centres, level=1e-4)


for word, n_rounds in {"ten": 10, "fifty": 50, "a hundred": 100, "five hundred": 500}.items():

    @k_means_centres.mistake(
        f"{word} rounds are not enough on every draw: do not count, but ask whether the centres "
        "moved"
    )
    def too_few_rounds(x, centres, most=n_rounds):
        return rounds(x, centres, most=most)


@k_means_centres.mistake(
    "a centre without data was moved to the mean of all; where no datum is assigned, it stays"
)
def empty_is_the_mean(x, centres):
    return rounds(x, centres, empty=x.mean(axis=0))
