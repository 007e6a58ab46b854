"""Servers on loopback for the tests of remote corpora: S3 behind a proxy that can misbehave, and a small site."""

from __future__ import annotations

import http.server
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path


@dataclass
class Proxy:
    """Passes everything on to a server, but drops or swallows the requests whose first line holds a text.

    Attributes:
        dropped: how often requests for a text are still dropped.
        swallowed: texts whose requests get no answer.
        asked: first lines of all requests so far.
    """

    upstream: tuple[str, int]
    dropped: dict[str, int] = field(default_factory=dict)
    swallowed: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def gets(self, text: str = ".py") -> list[str]:
        """The requests for the content of files."""
        return [line for line in self.asked if line.startswith("GET ") and text in line and "?" not in line]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self.upstream) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if server in ready:
                    answer = server.recv(1 << 16)
                    if not answer:
                        return
                    client.sendall(answer)
                if client in ready:
                    request = client.recv(1 << 16)
                    if not request:
                        return
                    line = request.split(b"\r\n")[0].decode("latin-1")
                    self.asked.append(line)
                    key = next((text for text, left in self.dropped.items() if left and text in line), None)
                    if key is not None:
                        self.dropped[key] -= 1
                        return
                    if any(text in line for text in self.swallowed):
                        continue
                    server.sendall(request)


Answer = Callable[[http.server.BaseHTTPRequestHandler], bool]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args: object, asked: list[str], answer: Answer | None, **kwargs: object) -> None:
        self.asked = asked
        self.answer = answer
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.asked.append(f"GET {self.path}")
        if self.answer is None or not self.answer(self):
            super().do_GET()

    def do_HEAD(self) -> None:
        self.asked.append(f"HEAD {self.path}")
        if self.answer is None or not self.answer(self):
            super().do_HEAD()

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # its five would make clients that ask for more at once wait for a second

    def handle_error(self, *_: object) -> None:
        """Clients that go away in the middle are what some tests are about."""


@contextmanager
def site(folder: Path, answer: Answer | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serves a folder: gives its URL and the list of requests. What `answer` answers is not looked up."""
    asked: list[str] = []
    handler = partial(_Quiet, asked=asked, answer=answer, directory=str(folder))
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
