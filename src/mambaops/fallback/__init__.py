"""Stand-ins for kernels that were not compiled."""
