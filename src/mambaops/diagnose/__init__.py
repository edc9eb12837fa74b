"""Logs to causes: rules as data and a pure matcher."""
