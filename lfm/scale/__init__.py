"""More data than fit into memory, runs that are interrupted, several processes."""
