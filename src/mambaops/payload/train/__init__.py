"""Training programs, run by the target interpreter: the image captioner and Graph-Mamba."""
