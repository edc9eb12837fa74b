"""What a machine lacks before anything is built: checks over facts, one line each, with the cure."""
