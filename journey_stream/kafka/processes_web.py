"""One port for the pages of several processes: /metrics, /health, /ready, and / with where each has its own.

Enters: the settings, and which processes run. Leaves: answers for all of them together: `ok` and `ready` only
if every one is; the metrics of all, each with a label `process` more. Strategy: the parent asks the children
when it is asked. Process k has its own pages at `web.port` + k.
"""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from journey_stream.errors import SettingsError
from journey_stream.settings import Settings

PATIENCE_SECONDS: Final = 5.0
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared, not bound)

States = Callable[[], dict[int, str]]
"""Process number to `running`, `down` (waits to be started again) or `finished`."""


class Pages:
    """The parent's web server, in a thread."""

    def __init__(self, settings: Settings, states: States) -> None:
        web = settings.web
        host = _ANYWHERE.get(web.host, web.host)
        self._host = f"[{host}]" if ":" in host else host
        self._port = web.port
        self._states = states
        try:
            self._server = _server_of(web.host)((web.host, web.port), self._handler())
        except OSError as error:
            msg = (
                f"`web.port`: cannot serve the pages of all processes on {web.host}:{web.port}: "
                f"{error.strerror}. Another worker on this machine? Choose another port, or 0 for no pages"
            )
            raise SettingsError(msg) from None
        threading.Thread(target=self._server.serve_forever, name="pages", daemon=True).start()

    @classmethod
    def serve(cls, settings: Settings, states: States) -> Pages | None:
        """Serve the pages, unless they are switched off.

        Raises:
            SettingsError: the port is taken.
        """
        return cls(settings, states) if settings.web.port else None

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Give status, content type and body of a page."""
        states = self._states()
        if path == "/":
            listed = {
                str(number): {"state": state, "pages": f"http://{self._host}:{self._port + number}/"}
                for number, state in states.items()
            }
            return 200, "application/json", _json({"processes": listed})
        if path not in {"/health", "/ready", "/metrics"}:
            return 404, "application/json", _json({"pages": ["/", "/health", "/ready", "/metrics"]})
        running = [number for number, state in states.items() if state == "running"]
        with ThreadPoolExecutor(max(1, len(running))) as pool:
            asked = dict(zip(running, pool.map(lambda number: self._ask(number, path), running), strict=True))
        if path == "/metrics":
            texts = {number: body.decode() for number, (status, body) in asked.items() if status == 200}
            return 200, METRICS_TYPE, merged(texts).encode()
        told = {
            str(number): _told(*asked[number]) if number in asked else {"status": state}
            for number, state in states.items()
        }
        well = all(state == "finished" or asked.get(n, (0, b""))[0] == 200 for n, state in states.items())
        summary = {"ready": well} if path == "/ready" else {"status": "ok" if well else "failing"}
        return 200 if well else 503, "application/json", _json({**summary, "processes": told})

    def _ask(self, number: int, path: str) -> tuple[int, bytes]:
        """Ask a process for one of its own pages; 0 for no answer."""
        url = f"http://{self._host}:{self._port + number}{path}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError as error:
            return 0, _json({"status": f"no answer: {error}"})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = pages.answer(self.path.partition("?")[0].rstrip("/") or "/")
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: a probe a second is no news."""

        return Handler


def _server_of(host: str) -> type[ThreadingHTTPServer]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return type("Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})


def merged(texts: dict[int, str]) -> str:
    """Put metrics of several processes into one text: families together, each sample with its `process`."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for number, text in sorted(texts.items()):
        family = ""
        for line in text.splitlines():
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                known = heads.setdefault(family, [])
                if line not in known:
                    known.append(line)
            elif line:
                samples.setdefault(family, []).append(_labelled(line, number))
    lines: Iterable[str] = (
        line for family, head in heads.items() for line in (*head, *samples.get(family, ()))
    )
    return "".join(f"{line}\n" for line in lines)


def _labelled(sample: str, number: int) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{process="{number}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{process="{number}"}} {value}'


def _told(status: int, body: bytes) -> Any:
    """What a process said of itself, or the text of it where that is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return {"status": f"HTTP {status}"}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
