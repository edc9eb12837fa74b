"""What a machine lacks before anything is built: checks over its facts, one line each, with the remedy."""
