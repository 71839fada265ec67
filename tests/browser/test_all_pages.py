"""What holds for each page in a browser: nothing in it acts, nothing is loaded, and a phone shows it all."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from harness.host.report.html.board_page import board_page
from harness.host.report.html.run_page import run_page
from tests.browser.conftest import DESKTOP, PHONE
from tests.sample_pages import HOSTILE, class_of, document_of, failed_document, student, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.conftest import Window

pytestmark = pytest.mark.browser

TITLE = "Homework 1: bikes by the hour"
LOG = "\n".join((*HOSTILE, "x" * 5000, *(f"epoch {number}" for number in range(300))))
PAGES = {
    "board": board_page(class_of(60)),
    "hostile board": board_page(class_of(60, HOSTILE)),
    "large board": board_page(class_of(300, HOSTILE)),
    "empty board": board_page(view_of([])),
    "private board": board_page(view_of([student("s001", 1.0)], split="private", title="x" * 300)),
    "run": run_page(document_of(), TITLE, "epoch 1\n"),
    "failed run": run_page(failed_document(), TITLE, LOG),
    "hostile run": run_page(
        failed_document(
            message=LOG,
            hint=LOG,
            submission={"name": HOSTILE[3], "sha256": ""},
            checks=[
                {"name": text, "outcome": "failed", "points": 0.0, "max_points": 1.0, "message": text}
                for text in HOSTILE
            ],
        ),
        HOSTILE[0],
        LOG,
    ),
}


@pytest.fixture(params=PAGES)
def html(request: pytest.FixtureRequest) -> str:
    """Each kind of page."""
    return PAGES[request.param]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_whole_width(window: Window, html: str, scheme: str) -> None:
    """At 360 pixels no page is wider than the window, whatever names and logs hold."""
    window.show(html, PHONE, scheme)
    assert window.run("return document.documentElement.scrollWidth") <= PHONE[0]
    assert window.run("return innerWidth") == PHONE[0]


def test_a_desktop_shows_the_whole_width(window: Window, html: str) -> None:
    """Long names do not push figures out of sight."""
    window.show(html)
    assert window.run("return document.documentElement.scrollWidth") <= DESKTOP[0]


def test_dark_and_light_differ(window: Window, html: str) -> None:
    """A page follows what its reader prefers."""
    grounds = set()
    for scheme in ("light", "dark"):
        window.show(html, scheme=scheme)
        grounds.add(window.run("return getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(253, 253, 252)", "rgb(22, 25, 28)"}


def test_no_name_or_log_acts(window: Window, html: str) -> None:
    """Text that is markup, a script or a template stays text: it makes no element, and nothing of it runs."""
    window.show(html)
    title = window.driver.title
    assert window.all("img, iframe, object, embed, form, link") == []
    assert len(window.all("script")) <= 2
    for head in window.all("thead th button"):
        head.click()
    assert window.driver.title == title
    assert title != "pwned"
    assert window.run("return document.documentElement.outerHTML.includes('\\u202e')") is False


@pytest.mark.parametrize("name", [text for text in HOSTILE if len(text) < 90], ids=ascii)
def test_a_hostile_name_is_shown_as_it_is(window: Window, name: str) -> None:
    """Both the document and the script write a name as visible text, and it can be searched."""
    window.show(board_page(view_of([student("s001", 1.0), student(name, 2.0, 2)])))
    written = window.texts("#rows bdi")[1]
    assert "7*7" in written or "49" not in written
    window.one("thead th.name button").click()
    assert written in window.texts("#rows bdi")
    window.run(
        "const field = document.getElementById('search'); field.value = arguments[0];"
        "field.dispatchEvent(new Event('input'))",
        written,
    )
    assert window.texts("#rows bdi") == [written]


def test_the_policy_stops_what_escaping_would_let_through(window: Window) -> None:
    """Were a name ever written as markup, nothing of it would run or load."""
    attack = """
    <img src="http://127.0.0.1:9/" onerror="document.title='pwned'"><script>document.title='pwned'</script>
    <p style="color: red">x</p><style>body { display: none }</style><base href="http://127.0.0.1:9/">
    <iframe srcdoc="<script>parent.document.title='pwned'</script>"></iframe>
    <body onload="document.title='pwned'">
    """
    window.show(PAGES["board"].replace("<main>", f"<main>{attack}"))
    assert window.driver.title != "pwned"
    blocked = {entry for entry in window.run("return window.seen") if entry.startswith("blocked")}
    assert {"blocked img-src", "blocked script-src-attr", "blocked script-src-elem"} <= blocked
    assert {"blocked style-src-attr", "blocked style-src-elem", "blocked base-uri"} <= blocked
    assert window.one("h1").is_displayed()
    assert [entry for entry in window.happened() if not entry.startswith("blocked")] != []
    window.driver.get("about:blank")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, html: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.html = html
        self.asked_for: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked_for.append(self.path)
        body = self.server.html.encode()
        self.send_response(200 if self.path == "/page" else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        pass


@pytest.fixture
def server(html: str) -> Iterator[_Server]:
    """Serves one page and writes down what is asked for."""
    with _Server(html) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def test_a_page_asks_for_nothing_else(window: Window, server: _Server) -> None:
    """From a server, the page itself is the only thing that the browser asks for, also while it is used."""
    address = f"http://127.0.0.1:{server.server_port}/page"
    window.visit(address)
    for head in window.all("thead th button"):
        head.click()
    assert window.requests() == [address]
    assert server.asked_for == ["/page"]
