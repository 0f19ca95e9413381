"""For kernels of tests with LFM_ROUNDING=SEED: what another processor's rounding does to training.

Products of other kernels differ in the last digit, and hundreds of steps make more of it. So each
optimiser begins with weights that are off by about one unit of their last digit.
"""

import os


def jolt(seed: int) -> None:
    """Let every optimiser that is made from now on move its weights by their last digit, once."""
    import torch

    begin = torch.optim.Optimizer.__init__

    def begin_jolted(self, *args, **options):
        begin(self, *args, **options)
        generator = torch.Generator().manual_seed(seed)
        for weights in (w for group in self.param_groups for w in group["params"]):
            noise = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
            factor = 1 + torch.finfo(weights.dtype).eps * noise
            weights.data.mul_(factor.to(weights))  # unseen by gradients that wait for it

    torch.optim.Optimizer.__init__ = begin_jolted


if os.environ.get("LFM_ROUNDING"):
    jolt(int(os.environ["LFM_ROUNDING"]))
