"""From an sdist to a wheel: jobs, compiler cache, progress, manifest."""
