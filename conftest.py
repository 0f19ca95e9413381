"""Outputs are compared, here and in the kernels that nbval starts: no progress bars among them."""

import os

os.environ["LFM_PROGRESS"] = "0"
