"""The step of training as a CUDA graph: recorded once, then replayed by the GPU alone.

A step of a small network is many short kernels, and Python takes longer to ask for them than the
GPU to run them. A recording is asked for once. It reads and writes the very tensors that it was
recorded with: rows, weights and the optimiser's state are only ever changed in place.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress

import torch

from lfm.engine import constants, networks, randomness
from lfm.engine.warn import warn
from lfm.scale.checkpoints import snapshot
from lfm.training import Run

Tensor = torch.Tensor


def recorded(run: Run) -> Callable[[], Tensor] | None:
    """Return the step as a recording that is replayed, or None, with a warning.

    The run is as it was before, whatever happens: weights, optimiser and random states.
    """
    before, reason = snapshot(run), None
    try:
        step = _record(run)
    except RuntimeError as error:
        if isinstance(error, networks.MACHINE_FAILED) and not _forbidden(error):
            raise
        step, reason = None, str(error).split("\n")[0]
        _free_generators(run)
    finally:
        put_back(run, before)
    if reason is not None:
        warn(f"no CUDA graph ({reason}); training goes on step by step", UserWarning)
    return step


def _forbidden(error: RuntimeError) -> bool:
    """Tell whether CUDA refuses what a recording must not do; the GPU itself is sound then."""
    return "captur" in str(error)  # so do all of its messages of that kind, and no other


def _record(run: Run) -> Callable[[], Tensor]:
    here, side = torch.cuda.current_stream(), torch.cuda.Stream()
    try:
        side.wait_stream(here)
        with torch.cuda.stream(side):  # lazy initialisation must not be recorded
            for _ in range(constants.WARM_UP):
                run.one_step()
        graph = torch.cuda.CUDAGraph()
        with warnings.catch_warnings():  # a later torch may find it out by itself
            warnings.simplefilter("ignore")
            graph.register_generator_state(run.generator)
        with torch.cuda.graph(graph):
            terms = run.one_step()
    finally:
        torch.cuda.set_stream(here)  # a recording that fails leaves its own
        here.wait_stream(side)

    def replay() -> Tensor:
        graph.replay()
        return terms

    return replay


def _free_generators(run: Run) -> None:
    """Make generators usable again: up to torch 2.12 a failed recording leaves them recording."""
    run.generator, here = torch.Generator(run.device), torch.cuda.current_stream()
    with warnings.catch_warnings(), suppress(RuntimeError):
        warnings.simplefilter("ignore")  # torch says that the recording is empty
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            pass  # its end frees torch's own generator
    torch.cuda.set_stream(here)


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
    randomness.put(run.device, before["global"])
