"""mambaops: get causal-conv1d and mamba-ssm working on a machine, prove it, and train with them."""

__version__ = "0.1.0"
