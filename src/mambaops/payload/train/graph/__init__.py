"""Graph-Mamba on graphs of neurons: node classification with GatedGCN, with or without Mamba.

`python -m mambaops.payload.train.graph` needs torch and PyYAML only; `--graph_mamba_root` runs the
original repository instead.
"""
