"""`invoke NAME` in a checkout: the same tasks as the command `mambaops`."""

from mambaops.cli import collection

ns = collection()
