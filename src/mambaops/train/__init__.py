"""The way to the training programs."""
