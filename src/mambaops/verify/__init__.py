"""Proof that an environment works."""
