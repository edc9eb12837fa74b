"""Kernels compiled ahead of time, without torch and for GPUs elsewhere: one wheel for every system."""
