"""An environment in one file, carried to a machine without a network."""
