"""Kernels without a compiler: upstream's device code cut out of its files, and the distribution that compiles it on first use."""
