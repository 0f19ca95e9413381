"""EM and the VAE in several processes, each with its share of the data, started by torchrun.

    torchrun --nproc-per-node 2 -m lfm.distributed mixture --data FOLDER --components 16
    torchrun --nproc-per-node 2 -m lfm.distributed vae --data FOLDER --latent 20 --checkpoint FILE

Of the sorted files of FOLDER (`data.Shards`) process `rank` takes rank, rank + world, and so on.
EM sends its statistics, and before them the points that they were taken about: `total` is one
all-reduce for each iteration, of as many numbers for a thousand data as for any N, and the result
is that of one process to rounding. The VAE sends gradients: a global batch is one batch of every
process. With torchrun's --max-restarts, a run that lost a process goes on from its
checkpoint by itself.

This is a door: the code is in `lfm.scale`.
"""

from lfm.scale.mixture_run import load
from lfm.scale.processes import ProcessLost, from_rank_0, processes, total
from lfm.scale.shell_distributed import main

__all__ = ["ProcessLost", "from_rank_0", "load", "main", "processes", "total"]

if __name__ == "__main__":
    main()
