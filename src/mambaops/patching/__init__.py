"""Edits of third-party sources: codemods, one-off diffs, and their undoing."""
