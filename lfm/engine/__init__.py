"""What keeps the models safe and fast, behind a door: the subject can be read without it.

validate    checks of arguments, with errors that say what came and what is wanted
signatures  what functions want of their arguments, checked as their signatures say
values      frozen values: models and q's that cannot be changed by accident
constants   the numerical limits and sizes, each with its reason
passes      how data pass through the loop: whole, as sums, or batch by batch
chunks      rows of data, as many at a time as fit the cache
quadratic   the scores of Gaussians and the sums that they weigh
softmax     Bayes' rule for finitely many values, with its entropy
moments     N, mean and scatter of data
rounding    what of a variance is rounding
warn        warnings that name the caller's line
files       files that are whole or not there, and read with a checksum
inputs      what networks take: checked arrays, tensors, bytes as grey values
looking     a VAE looked at: networks at rest, data in parts
networks    what is asked of networks before they are used
optimisers  what an optimiser remembers, freed of numbers that slow it down
randomness  torch's own random state, borrowed and given back
progress    bars for what takes more than two seconds
"""
