"""A GPU computes what a CPU does, a recording what its steps do, a stopped run what a whole one."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from gpu_kinds import BITS, KINDS, Kind, epochs_of, gap, images, takes_for_ever, train, weights
from gpu_rows import Rows
from vae import D, H, K
from vae import images as random_images

from lfm import data, training
from lfm.vae import VAE

# Relative to the CPU's. torch lets convolutions of a GPU round to TF32, 10 bits, as it comes.
AS_ON_THE_CPU = {torch.float32: 1e-5, torch.float64: 1e-11}
IN_CONVOLUTIONS = 2e-3
SEEDS = 8


def exactness(rows: Rows, options) -> None:
    device = options.device
    whole = Kind(lambda: VAE.dense(D, K, (H,), rng=0), random_images(64), {})
    for name, kind in {f"{D}-{H}-{K}": whole, **KINDS}.items():
        if not (kind.bfloat16 or kind.options):
            with rows.trying(f"{name}: loss and gradient as on the CPU"):
                loss_and_gradient(rows, name, kind, device)
    for name, kind in KINDS.items():
        if takes_for_ever(kind, device):
            rows.cannot(name, "some CPUs take for ever over it")
            continue
        if kind.options or name.startswith("full"):
            with rows.trying(f"{name}: trains as on the CPU"):
                bound(rows, name, kind, device)
        with rows.trying(f"{name}: graph against eager steps"):
            graph_and_eager(rows, name, kind, device)
        with rows.trying(f"{name}: goes on from a checkpoint"):
            resumed(rows, name, kind, device)
    with rows.trying("mean bound over seeds"):
        in_distribution(rows, device)
    with rows.trying("replays"):
        noise_and_move(rows, device)


def loss_and_gradient(rows: Rows, name: str, kind: Kind, device: str) -> None:
    """Given the same noise."""
    found = []
    for where in ("cpu", device):
        vae = kind.make().eval().to(where)  # what dropout draws is not the same
        like, x = next(vae.parameters()), torch.as_tensor(kind.rows[:64])
        x = x.to(where) if x.dtype == torch.uint8 else x.to(like)
        eps = np.random.default_rng(0).normal(size=(1, len(x), vae.n_factors))
        loss = vae.loss(x, torch.as_tensor(eps).to(like))
        loss.backward()
        grad = torch.cat([p.grad.double().cpu().ravel() for p in vae.parameters()])
        found.append((loss.item(), grad))
    (a, slope), (b, other) = found
    worst = max(abs(a - b) / abs(a), ((slope - other).norm() / slope.norm()).item())
    limit = IN_CONVOLUTIONS if kind.make is images else AS_ON_THE_CPU[like.dtype]
    what = f"{name}: loss and gradient as on the CPU"
    rows.check(what, worst <= limit, f"{worst:.1e}", f"relative; at most {limit:.0e}")


def bound(rows: Rows, name: str, kind: Kind, device: str) -> None:
    """Where noise, or rounding, cannot be the same: over seeds, with the same first weights."""
    how = {"epochs": 30 if device == "cuda" else 5, "lr": 3e-3, **kind.options}
    ends, said = {device: [], "cpu": []}, []
    for where, found in ends.items():
        if takes_for_ever(kind, where):
            how["bfloat16"] = False
        for seed in range(SEEDS):
            trace, warned = train(kind.make(), kind.rows, where, **how, rng=seed)
            found.append(np.mean(trace.bound[-5:]))
            said += warned
    here, cpu = (np.array(found) for found in (ends[device], ends["cpu"]))
    error = np.sqrt((here.var(ddof=1) + cpu.var(ddof=1)) / SEEDS)
    apart = here.mean() - cpu.mean()
    fine = abs(apart) <= 5 * error and not said
    remark = said[0] if said else f"{apart:.3f} ± {error:.3f} from the CPU's; at most 5 such errors"
    what = f"{name}: trains as on the CPU, mean over {SEEDS} seeds"
    rows.check(what, fine, f"{here.mean():.3f} nats", remark)


def graph_and_eager(rows: Rows, name: str, kind: Kind, device: str) -> None:
    made = kind.make(), kind.make()
    runs = [
        epochs_of(vae, kind.rows, device, 5, graph=graph, **kind.options)
        for vae, graph in zip(made, (True, False), strict=True)
    ]
    apart, recorded = gap(*made), runs[0].recording is not None
    bits = "to the bit" if apart == 0 else f"weights {apart:.1e} apart; at most 1e-5"
    remark = bits if recorded else f"{bits}; nothing was recorded"
    if device == "cpu":
        remark = "no graph on a CPU: the same steps twice"
    fine = apart <= 1e-5 and recorded == (device == "cuda")
    rows.check(f"{name}: graph against eager steps", fine, f"{apart:.1e}", remark)


def resumed(rows: Rows, name: str, kind: Kind, device: str) -> None:
    how = {**kind.options, "validation": kind.rows[:20]}
    whole = kind.make()
    trace, _ = train(whole, kind.rows, device, epochs=3, **how)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.lfm"
        for epochs in (1, 2, 3):
            piece = kind.make()
            again, _ = train(piece, kind.rows, device, epochs=epochs, checkpoint=path, **how)
        kept = training.load(path, kind.make())
    apart = gap(whole, piece)
    fine = apart == 0 and (again.bound, again.validation) == (trace.bound, trace.validation)
    fine = fine and torch.equal(weights(kept), weights(piece))
    remark = f"weights {apart:.1e} apart; and its file is read on a CPU"
    rows.check(f"{name}: stopped twice and gone on, to the bit", fine, "", remark)


def in_distribution(rows: Rows, device: str) -> None:
    """The same first weights on both sides, other noise."""
    n, seeds, epochs = (5000, 5, 3) if device == "cuda" else (600, 2, 1)
    x, ends = data.mnist().images.reshape(-1, D)[:n], []
    for where in ("cpu", device):
        how = {"epochs": epochs, "batch_size": 128, "binarise": True}
        vaes = [VAE.dense(D, K, (H,), rng=seed) for seed in range(seeds)]
        ends.append([train(v, x, where, **how, rng=i)[0].bound[-1] for i, v in enumerate(vaes)])
    apart = np.subtract(*ends)
    error = apart.std(ddof=1) / seeds**0.5 + 1e-6
    what = f"digits, epochs: {epochs}, mean bound over {seeds} seeds as on the CPU"
    remark = f"{apart.mean():.3f} ± {error:.3f} from the CPU's; at most 6 such errors"
    rows.check(what, abs(apart.mean()) <= 6 * error, f"{np.mean(ends[1]):.2f} nats", remark)


def noise_and_move(rows: Rows, device: str) -> None:
    """A replay draws anew, and what came before the recording is undone."""
    how = {"epochs": 8, "lr": 1e-12}
    trace, _ = train(KINDS["bits"].make(), BITS[:32], device, **how)
    found = len(set(trace.bound))
    what = "8 steps with weights at rest: bounds that differ"
    rows.check(what, found == 8, str(found), "each replay draws new noise")
    vae, lr = KINDS["bits"].make(), 1e-3
    train(vae, BITS, device, epochs=1, steps=1, lr=lr)
    moved = gap(vae, KINDS["bits"].make()) / lr
    what = "the first step of Adam moves weights by at most lr"
    rows.check(
        what, 0.5 < moved < 1.01, f"{moved:.3f} lr", "the warm-up before a recording is undone"
    )
