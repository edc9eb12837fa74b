"""What is known of an unpacked source: plain data for the plan and the build."""

from __future__ import annotations

import msgspec


class SourceTree(msgspec.Struct, frozen=True, kw_only=True):
    """An unpacked source, and the options with which its setup.py is patched at present."""

    path: str
    sha256: str = ""
    patched: str = ""  # digest of the options; empty: pristine
