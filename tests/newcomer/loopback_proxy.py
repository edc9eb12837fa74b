"""A web proxy on this machine that hands on what it is asked for, and counts it: CONNECT alone, since every index is https."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy(socketserver.ThreadingTCPServer):
    """`asked`: the places that somebody was connected to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.asked: list[str] = []

    def variables(self) -> dict[str, str]:
        """The environment of somebody behind it."""
        url = f"http://127.0.0.1:{self.server_address[1]}"
        return dict.fromkeys(("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"), url)


class _Connection(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        method, place, *_ = self.rfile.readline().decode("latin-1").split()
        while self.rfile.readline().strip():
            pass
        if method != "CONNECT":
            self.wfile.write(b"HTTP/1.1 501 Not Implemented\r\n\r\n")
            return
        host, _, port = place.rpartition(":")
        self.server.asked.append(place)
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=60) as other:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            other.settimeout(None)
            back = threading.Thread(target=_pump, args=(other, self.connection), daemon=True)
            back.start()
            _pump(self.connection, other)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxy() -> Iterator[Proxy]:
    with Proxy() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
