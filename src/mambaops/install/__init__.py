"""Wheels and requirements into an environment."""
