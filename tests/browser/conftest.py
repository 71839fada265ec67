"""A headless Chromium that pages are opened in, and that tells what they did."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

DESKTOP, PHONE = (1200, 900), (360, 740)
# Runs in a page before anything of the page does.
WATCH = """
window.seen = [];
addEventListener("securitypolicyviolation", (event) => seen.push("blocked " + event.violatedDirective));
addEventListener("error", (event) => seen.push("error " + event.message));
"""


class Window:
    """One window of a browser, and what happened in it.

    Args:
        driver: of the browser.
        folder: where pages are written before they are opened.
    """

    def __init__(self, driver: Chrome, folder: Path) -> None:
        self.driver = driver
        self._folder = folder

    def show(self, html: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        """Open a page from a file."""
        path = self._folder / "page.html"
        path.write_text(html, encoding="utf-8")
        self.visit(path.as_uri(), size, scheme)

    def visit(self, address: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        """Open an address in a window of a size, for a reader who prefers light or dark pages."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        self.media(scheme)
        self.happened()
        self.driver.get(address)

    def media(self, scheme: str, kind: str = "") -> None:
        """Show the page for a screen or for print, light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=kind, features=features)

    def command(self, name: str, **arguments: Any) -> Any:
        """A command of the browser's own protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def one(self, selector: str) -> WebElement:
        """The first element that a selector finds."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """All elements that a selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that a selector finds, in one step."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", selector
        )
        return found

    def happened(self) -> list[str]:
        """What the console told since the last look, and what was blocked or failed in the page."""
        console = [entry["message"] for entry in self._log("browser")]
        seen: list[str] = self.run("return window.seen ?? []")
        return console + seen

    def _log(self, kind: str) -> list[dict[str, str]]:
        entries: list[dict[str, str]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]  # selenium's
        return entries

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last look."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    """A browser for all tests."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument("--disable-background-networking")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses to start as root with it
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    yield chrome
    chrome.quit()


@pytest.fixture
def window(driver: Chrome, tmp_path: Path) -> Iterator[Window]:
    """A window in which, at the end of a test, nothing was blocked, nothing failed and nothing was logged."""
    driver.get("about:blank")
    opened = Window(driver, tmp_path)
    opened.requests()
    yield opened
    assert opened.happened() == []
