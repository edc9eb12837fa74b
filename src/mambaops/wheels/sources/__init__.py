"""Where wheels are offered: folders, indexes, upstream's and Astral's matrices."""
