"""The addresses of a stand-in machine: `python web.py MACHINE_FOLDER PORT` serves the files below `web/`.

A folder is a page of links to what is in it (a package index); `Range` is understood; `hold` and `cut` stop a
file in its middle. Standard library only.
"""

from __future__ import annotations

import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

MACHINE = Path(sys.argv[1])
WEB = MACHINE / "web"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.close_connection = True
        path = unquote(urlsplit(self.path).path)
        with (MACHINE / "asked.jsonl").open("a", encoding="utf-8") as asked:
            asked.write(json.dumps({"program": self.command, "words": [path]}) + "\n")
        place = (WEB / path.lstrip("/")).resolve()
        if WEB.resolve() not in [place, *place.parents] or not place.exists():
            return self.send(404, b"not here\n", body=body, path=path)
        if place.is_dir():
            names = sorted(one.name for one in place.iterdir())
            links = "".join(f'<a href="{quote(name)}">{name}</a>\n' for name in names)
            page = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
            return self.send(200, page, body=body, kind="text/html", path=path)
        return self.file(place, path, body=body)

    def file(self, place: Path, path: str, *, body: bool) -> None:
        data = place.read_bytes()
        kind = "text/html" if place.suffix == ".html" else "application/octet-stream"
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = int(asked[2]) + 1 if asked and asked[2] else len(data)
        more = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"} if asked else {}
        whole = data[start:end]
        self.send(206 if asked else 200, whole, body=body, kind=kind, path=path, **more)

    def send(
        self,
        status: int,
        data: bytes,
        *,
        body: bool,
        kind: str = "text/plain",
        path: str = "",
        **more: str,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(data), **more}.items():
            self.send_header(name, str(value))
        self.send_header("ETag", '"standin"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.body(data, path)

    def body(self, data: bytes, path: str) -> None:
        half = len(data) // 2
        if path and fits("hold", path):
            self.wfile.write(data[:half])
            self.wfile.flush()
            (MACHINE / "held").write_text(path, encoding="utf-8")
            while (MACHINE / "hold").is_file():
                time.sleep(0.05)
        elif path and len(data) > 1000 and fits("cut", path):
            (MACHINE / "cut").unlink()  # once
            self.wfile.write(data[:half])
        else:
            self.wfile.write(data)


def fits(name: str, text: str) -> bool:
    file = MACHINE / name
    return file.is_file() and re.search(file.read_text(encoding="utf-8"), text) is not None


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    server.daemon_threads = True
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
