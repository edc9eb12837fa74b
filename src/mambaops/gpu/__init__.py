"""Who uses the GPU."""
