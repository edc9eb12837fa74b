"""One file per kind of step: check, act, look again."""
