"""More data than fit into memory, runs that are interrupted, GPUs, several processes.

The subject can be read without it: nothing of the subject imports it before it is asked for.

acceleration       factor analysis in a few iterations
streams            EM in one pass over a stream of batches
shards             data of any size, in a folder of files
sealed             files of tensors that are verified before anything is made of them
architectures      the architecture of a VAE as data
checkpoints        a VAE in a file; a training run in a file, from which it goes on
graphs             the step of training as a recording that a GPU replays
processes          several processes: how they meet and exchange sums
mixture_run        the mixture in several processes
vae_run            the VAE in several processes
shell_training     python -m lfm.training
shell_distributed  torchrun -m lfm.distributed
"""

from lfm.scale.streams import Update, online

__all__ = ["Update", "online"]
