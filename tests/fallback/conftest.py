"""Environments that see this one's torch."""

from __future__ import annotations

import pytest
from environments import make_environment

__all__ = ["make_environment"]
pytest.importorskip("torch", reason="the stand-ins are written in torch")
