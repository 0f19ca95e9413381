"""The step of training as a CUDA graph: recorded once, then replayed by the GPU alone.

A step of a small network is many short kernels, and Python takes longer to ask for them than the
GPU to run them. A recording is asked for once. It reads and writes the very tensors that it was
recorded with: rows, weights and the optimiser's state are only ever changed in place.
"""

from collections.abc import Callable

import torch

from lfm.engine.warn import warn
from lfm.scale.checkpoints import snapshot
from lfm.training import Run

Tensor = torch.Tensor

# Steps before the recording: torch sets itself up in the first ones, which must not be recorded.
WARM_UP = 3


def recorded(run: Run) -> Callable[[], Tensor]:
    """Return the step as a recording that is replayed, or the step itself where none can be made.

    The run is as it was before: weights, optimiser and generator.
    """
    before = snapshot(run)
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # lazy initialisation must not be recorded
            for _ in range(WARM_UP):
                run.one_step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(run.generator)
        with torch.cuda.graph(graph):
            terms = run.one_step()
    except RuntimeError as error:
        warn(f"no CUDA graph ({error}); training goes on step by step", UserWarning)
        put_back(run, before)
        return run.one_step
    put_back(run, before)

    def replay() -> Tensor:
        graph.replay()
        return terms

    return replay


def put_back(run: Run, before: dict) -> None:
    """Undo steps in place: a recorded graph holds on to the tensors themselves."""
    with torch.no_grad():
        for name, value in run.vae.state_dict().items():
            if isinstance(value, Tensor):
                value.copy_(before["model"][name])
        for i, weights in enumerate(run.vae.parameters()):
            old = before["optimiser"]["state"].get(i)
            for key, value in run.optimiser.state[weights].items():
                value.copy_(old[key]) if old is not None else value.zero_()
    run.generator.set_state(before["generator"])
