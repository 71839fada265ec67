"""Serves repositories over https on this machine, by git's own program, with a certificate of its own."""

from __future__ import annotations

import base64
import http.server
import os
import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGIN = "reader:token"


def why_not() -> str:
    """What is missing; empty where it works."""
    return "" if shutil.which("openssl") and _backend().exists() else "openssl or git http-backend is missing"


def _backend() -> Path:
    where = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True, timeout=10)
    return Path(where.stdout.strip(), "git-http-backend")


@contextmanager
def serving(root: Path, folder: Path) -> Iterator[tuple[int, Path]]:
    """Serve the repositories in a folder: under ``/open/`` to all, under ``/closed/`` to `LOGIN`.

    Whoever asks for ``/elsewhere/`` is sent to ``/open/``.

    Args:
        root: of the repositories.
        folder: for the certificate.

    Yields:
        The port, and the certificate.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    backend = str(_backend())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place, _, rest = self.path.lstrip("/").partition("/")
            if place == "elsewhere":
                self.send_response(302)
                self.send_header("Location", f"/open/{rest}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            login = f"Basic {base64.b64encode(LOGIN.encode()).decode()}"
            if place == "closed" and self.headers.get("Authorization") != login:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._answer(rest)

        do_POST = do_GET  # noqa: N815  as the base class has it

        def _answer(self, path: str) -> None:
            name, _, query = path.partition("?")
            length = self.headers.get("Content-Length", "0")
            done = subprocess.run(
                [backend],
                input=self.rfile.read(int(length)),
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": f"/{name}",
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": length,
                },
                capture_output=True,
                check=False,
                timeout=60,
            )
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing is said."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, certificate
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
