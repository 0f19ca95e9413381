"""The package's numerical limits and sizes, each with its reason.

Read as `constants.NAME` where it is used, so that a test can change it there. What serves one line
only stands in that line.
"""

import numpy as np

# ------------------------------------------------------------------ numbers as they are stored

EPS = np.finfo(float).eps
TINY = np.finfo(float).tiny
# The largest number whose square can be added up a million times.
LARGEST = np.sqrt(np.finfo(float).max) / 1e3
# The step from 1 to the next number, where a kind of number is coarser than float64.
RESOLUTION = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# ln 0 for a state that cannot be: finite, so that 0 times it is 0, and exp gives exactly 0.
LOG_ZERO = -1e30
# A bound is a sum over N data: rounding is relative to its size, and to N where terms cancel.
ROUNDING = 1e-10

# ------------------------------------------------------------------ what counts as singular

# A direction with this share of the variance cannot be told from none: a bound, or a regression
# on it, would be rounding.
SINGULAR = 1e-12
# A deviation of this share of all data's comes from responsibilities that are all but zero.
TRACE = 1e-20
# No noise variance goes below this share of its column's variance: the maximum may lie at zero,
# where inference would divide by it. See `FactorAnalysis.learn`.
FLOOR = 1e-6
# EM needs thousands of steps down to the floor, so a column that is on its way there is reported
# from this share on, the limit that factor analysts have long used.
SUSPECT = 0.005
# Data so many times their rounding away from 0 have a variance that is but rounding.
FAR = 8

# ------------------------------------------------------------------ chunks of data

# What a chunk may occupy with its T(y), scores, r and spares, in bytes: T(y) is read twice, so it
# should stay in the second-level cache.
CACHE_BYTES = 2_000_000
# The same for rows of data beside what a model computes of them: here a chunk is read once.
CHUNK_BYTES = 3_000_000
# Above this κ, scores about one shared origin lose more than about 1e-10 nats to cancellation.
SHARED_LIMIT = 1e6
# T(y) has about D²/2 rows; beyond this D a chunk of it would no longer hold enough data.
SHARED_COLUMNS = 128
# Squared distance of origin and mean, over the smallest variance: rounding is 1e-16 of it.
CANCEL_LIMIT = 1e5
# So many rows say well enough where the data are.
ORIGIN_ROWS = 1024
# A mark of data is taken of so many rows, spread evenly: of all of them where there are no more.
MARKED_ROWS = 2000

# ------------------------------------------------------------------ where an algorithm stops

# Exact inference sums over 2^K states; beyond this K a datum would cost more than a second.
MOST_SWITCHES = 15
# From a cold start a datum is done when a sweep moves none of its probabilities by more than this.
SWEEP_TOL = 1e-6
SWEEPS = 100

# ------------------------------------------------------------------ training

# A mean gradient below this moves a weight by 1e-12 of the learning rate, for Adam divides it by
# no less than 1e-8; it is still far from the denormal numbers of float32, below 1e-38.
STILL = 1e-20
