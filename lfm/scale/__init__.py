"""More data than fit into memory, runs that are interrupted, several processes.

streams     EM in one pass over a stream of batches
"""

from lfm.scale.streams import Update, online

__all__ = ["Update", "online"]
