"""Read-only facts about a machine: what it is, never what it should be."""
