"""A text file that a run adds lines to, and that no full disk ends."""

from __future__ import annotations

import os


class Appender:
    """Adds text to a file, flushed. A full disk is said once; what could not be written comes with the next text."""

    def __init__(self, path: str) -> None:
        self.path, self.waiting = path, ""
        self._said = False

    def add(self, text: str) -> None:
        self.waiting += text
        try:
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            # unbuffered: a buffer would write its rest when it is closed
            with open(self.path, "ab", buffering=0) as file:
                size, rest = file.tell(), self.waiting.encode()
                try:
                    while rest:
                        rest = rest[file.write(rest) :]
                except OSError:
                    file.truncate(size)  # no half row
                    raise
            self.waiting = ""
        except OSError as error:
            self.warn(self.path, error)

    def warn(self, path: str, error: OSError) -> None:
        if not self._said:
            print(
                f"warning: {path}: {error.strerror}. Training goes on; what is missing is written when it can be.",
                flush=True,
            )
        self._said = True
