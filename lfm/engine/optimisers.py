"""What an optimiser remembers from step to step."""

import torch

from lfm.engine import constants


@torch.no_grad()
def release(optimiser: torch.optim.Adam) -> None:
    """Set moments of Adam that no longer move a weight to zero, in place.

    The gradient of a unit that is silent is zero, and its first moment falls by a tenth at every
    step until it is a denormal number; it then stays one for ever, since nine tenths of the least
    few round up to themselves. A processor computes with those at a fraction of its speed.
    """
    for state in optimiser.state.values():
        for moment, least in (("exp_avg", constants.STILL), ("exp_avg_sq", constants.STILL**2)):
            state[moment].masked_fill_(state[moment].abs() < least, 0.0)
