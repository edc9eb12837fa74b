"""TensorBoard's events: where they are wanted and can be written. They never end a training."""

from __future__ import annotations

import threading
from typing import Any

from mambaops.payload.train.options import Settings

_CLOSING = 10.0  # seconds; its queue is waited for for ever once its writing thread has died


class Board:
    """A writer of scalars. A full disk ends the events with a line, not the training."""

    def __init__(self, settings: Settings) -> None:
        self.writer: Any = None
        if not settings.tensorboard:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            print("TensorBoard is not installed: no events are written (the CSV and the curve are)")
            return
        _hear_its_thread()
        self._guarded(lambda: setattr(self, "writer", SummaryWriter(settings.file("tensorboard"))))

    def add(self, name: str, value: float, step: int) -> None:
        if self.writer is not None:
            self._guarded(lambda: self.writer.add_scalar(name, value, step))

    def close(self) -> None:
        if self.writer is None:
            return
        closing = threading.Thread(
            target=lambda: self._guarded(self.writer.close), daemon=True, name="closing-tensorboard"
        )
        closing.start()
        closing.join(_CLOSING)

    def _guarded(self, act: Any) -> None:
        try:
            act()
        except OSError as error:  # what its thread met is raised by one of the next calls
            self.writer = None
            print(f"warning: TensorBoard's events end here: {error.strerror}", flush=True)


def _hear_its_thread() -> None:
    """A traceback of TensorBoard's thread would be on stderr before our line says the same."""
    before = threading.excepthook

    def hook(told: Any) -> None:
        if not (
            issubclass(told.exc_type, OSError) and "tensorboard" in type(told.thread).__module__
        ):
            before(told)

    threading.excepthook = hook
