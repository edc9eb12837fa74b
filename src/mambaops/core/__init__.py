"""What everything stands on: errors, processes, paths, files."""
