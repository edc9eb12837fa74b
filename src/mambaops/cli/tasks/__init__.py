"""One file per area; every Invoke task found here becomes a command."""
