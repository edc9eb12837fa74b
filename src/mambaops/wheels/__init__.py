"""Prebuilt and own wheels: names, selection, fetching, reading, storing, carrying."""
