"""What keeps the models safe and fast, behind a door: the subject can be read without it.

validate    checks of arguments, with errors that say what came and what is wanted
values      frozen values: models and q's that cannot be changed by accident
quadratic   the scores of Gaussians and the sums that they weigh, in chunks
files       files that are whole or not there, and read with a checksum
inputs      what networks take: checked arrays, tensors, bytes as grey values
networks    what is asked of networks before they are used
randomness  torch's own random state, borrowed and given back
progress    bars for what takes more than two seconds
"""
