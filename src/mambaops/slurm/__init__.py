"""The user's own Slurm: which nodes and limits there are, jobs as arrays, and what became of them."""
