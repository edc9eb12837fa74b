"""Tables as data (TOML), with a source per row, and their typed loaders."""
