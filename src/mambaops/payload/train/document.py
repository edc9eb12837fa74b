"""A program's outcome as one JSON document on stdout; all that it says while it works goes to stderr."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, Callable, Dict, Mapping, Tuple


def documented(name: str, main: Callable[[], Tuple[int, Any]]) -> int:
    """Run `main`, which gives an exit status and a mapping (the result, or an error), and print its document.

    Args:
        name: the command's, which is part of the schema's.
    """
    stdout = _stdout_for_the_document()
    try:
        status, told = main()
    except SystemExit as left:  # argparse has said the rest
        status = left.code if isinstance(left.code, int) else 1
        hint = f"`mambaops {name} -- --help` lists them"
        told = {"message": "the program's flags were refused: see above", "hint": hint}
        if not status:  # --help
            _write(stdout, {"schema": "mambaops/done/1", "command": name, "exit_code": 0})
            return 0
    except Exception as error:
        traceback.print_exc()
        status, told = 1, {"message": f"{type(error).__name__}: {error}", "hint": ""}
    if os.environ.get("RANK", "0") == "0":  # torchrun starts several of us
        _write(stdout, _document(name, status, told))
    return status


def _stdout_for_the_document() -> int:
    """stdout as it was; from now on whatever is printed, also by libraries and children, goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    return kept


def _document(name: str, status: int, told: Any) -> Dict[str, Any]:
    if status:
        return {"schema": "mambaops/error/1", "error": {"code": status, **told}}
    return {"schema": f"mambaops/{name}/1", **(told if isinstance(told, Mapping) else {})}


def _write(stdout: int, document: Mapping[str, Any]) -> None:
    sys.stdout.flush()
    try:
        with os.fdopen(stdout, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")
    except BrokenPipeError:
        pass  # the reader has gone
