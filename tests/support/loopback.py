"""A loopback HTTP server that misbehaves as it is told: each request takes the next act of a script."""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        self.close_connection = True
        with self.server.lock:
            self.server.requests.append((self.path, dict(self.headers)))
            script = self.server.script
            act = script.pop(0) if len(script) > 1 else script[0]
        with suppress(BrokenPipeError, ConnectionResetError):
            act(self)

    do_CONNECT = do_HEAD = do_GET

    def log_message(self, *args: Any) -> None:
        pass

    @property
    def data(self) -> bytes:
        return self.server.data

    def head(self, status: int, **headers: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    def asked_from(self, etag: str | None) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        return int(match[1]) if match and condition in (None, etag) else 0


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, data: bytes, script: list[Act]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.script = data, script
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.lock = threading.Lock()
        self.released = threading.Event()

    def url(self, name: str = "tiny-1.0-py3-none-any.whl") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def ranges(self) -> list[str | None]:
        """The Range header of each request so far."""
        return [headers.get("Range") for _, headers in self.requests]


@contextmanager
def serve(data: bytes, *script: Act) -> Iterator[Server]:
    server = Server(data, list(script) or [whole()])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def etag_of(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def _answer(
    handler: Handler, ranges: bool, etag: str | bool | None, length: int | None = None
) -> bytes:
    """Send the headers of a 200 or 206; return the bytes that should follow."""
    data = handler.data
    tag = etag_of(data) if etag is True else (etag or None)
    start = handler.asked_from(tag) if ranges else 0
    if start >= len(data) and start:
        handler.head(416, Content_Range=f"bytes */{len(data)}", Content_Length=0)
        return b""
    rest = data[start:]
    promised = len(rest) if length is None else length - start
    if start:
        total = start + promised
        handler.head(
            206,
            Content_Length=promised,
            Content_Range=f"bytes {start}-{total - 1}/{total}",
            ETag=tag,
        )
    else:
        handler.head(200, Content_Length=promised, ETag=tag)
    return rest


def whole(*, ranges: bool = True, etag: str | bool | None = True, length: int | None = None) -> Act:
    """Everything; `length` is a lie about how much that is."""

    def act(handler: Handler) -> None:
        handler.wfile.write(_answer(handler, ranges, etag, length))

    return act


def cut(after: int, *, how: str, ranges: bool = True, etag: str | bool | None = True) -> Act:
    """`after` bytes, then "close" politely, "reset", or "stall"."""

    def act(handler: Handler) -> None:
        rest = _answer(handler, ranges, etag)
        handler.wfile.write(rest[:after])
        handler.wfile.flush()
        if how == "stall":
            handler.server.released.wait(30)
        if how == "reset":
            handler.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            handler.connection.close()

    return act


def status(code: int, **headers: Any) -> Act:
    def act(handler: Handler) -> None:
        handler.head(code, Content_Length=0, **headers)

    return act


def without_length(after: int | None = None) -> Act:
    """HTTP/1.0 style: the end of the connection is the end of the file."""

    def act(handler: Handler) -> None:
        handler.head(200)
        handler.wfile.write(handler.data[:after])

    return act


def become(data: bytes, act: Act) -> Act:
    """The file on the server is another one from now on."""

    def changed(handler: Handler) -> None:
        handler.server.data = data
        act(handler)

    return changed


def wrong_range(shift: int) -> Act:
    """A 206 for another place than the one that was asked for."""

    def act(handler: Handler) -> None:
        start = handler.asked_from(handler.headers.get("If-Range")) + shift
        rest = handler.data[start:]
        total = len(handler.data)
        handler.head(
            206, Content_Length=len(rest), Content_Range=f"bytes {start}-{total - 1}/{total}"
        )
        handler.wfile.write(rest)

    return act


def page(text: bytes) -> Act:
    """A login page where the file should be."""

    def act(handler: Handler) -> None:
        handler.head(200, Content_Length=len(text), Content_Type="text/html")
        handler.wfile.write(text)

    return act
