"""Wheels that were built or fetched once."""
