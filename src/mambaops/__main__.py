"""`python -m mambaops`, for a machine whose scripts folder is not on PATH."""

from mambaops.cli import main

main()
