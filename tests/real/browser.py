"""A headless Chromium, driven over the WebDriver protocol."""

from __future__ import annotations

import http.client
import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_READY = "started successfully on port"


class Browser:
    """One window; the port is the driver's."""

    def __init__(self, port: int) -> None:
        self._port, self._window = port, ""
        chrome = {"args": _OPTIONS, "binary": needs("chromium")}
        answer = self._ask("POST", "", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": chrome}}})
        self._window = f"/{answer['sessionId']}"

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    @property
    def url(self) -> str:
        return str(self._ask("GET", "/url"))

    def type(self, css: str, text: str) -> None:
        self._ask("POST", f"/element/{self._find(css)}/value", {"text": text})

    def click(self, css: str) -> None:
        self._ask("POST", f"/element/{self._find(css)}/click", {})

    def close(self) -> None:
        self._ask("DELETE", "")

    def _find(self, css: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": css})
        return str(next(iter(found.values())))

    def _ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - any of the driver's answers
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request(method, f"/session{self._window}{path}", None if body is None else json.dumps(body))
        answer = connection.getresponse()
        value = json.loads(answer.read())["value"]
        connection.close()
        assert answer.status == http.HTTPStatus.OK, value
        return value


@contextmanager
def browser() -> Iterator[Browser]:
    with subprocess.Popen([needs("chromedriver"), "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        try:
            assert driver.stdout is not None
            line = next(line for line in driver.stdout if _READY in line)
            window = Browser(int(line.strip().rstrip(".").rpartition(" ")[2]))
            try:
                yield window
            finally:
                window.close()
        finally:
            driver.terminate()
