"""A real Chromium without a window, spoken to over the pipe of its DevTools: one page, and questions to it.

`set-up programs` installs it. No test is left out where it is missing: the test fails and says what to install.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
# The browser reads questions from its file 3 and answers on its file 4.
_AS_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 93); os.dup2(int(sys.argv[2]), 94); os.dup2(93, 3); os.dup2(94, 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """One browser with one page of this size."""

    def __init__(self, folder: Path, width: int = 800, height: int = 480) -> None:
        program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
        assert program is not None, "chromium is not installed: run ./set-up programs"
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        options = [*_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AS_3_AND_4, str(theirs_in), str(theirs_out), program, *options],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._count, self._session, self._rest = 0, "", b""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)

    def go(self, url: str) -> None:
        """Opens this page."""
        self._ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def value(self, script: str) -> Any:
        """What this expression is worth in the page."""
        told = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, script: str) -> None:
        """Waits until this expression is true."""
        limit = time.monotonic() + PATIENCE_S
        while not self.value(script):
            assert time.monotonic() < limit, f"never true: {script}; body is {self.value('document.body.innerText')!r}"
            time.sleep(0.02)

    def emulate(self, feature: str, value: str) -> None:
        """A media feature, such as prefers-reduced-motion."""
        self._ask("Emulation.setEmulatedMedia", features=[{"name": feature, "value": value}])

    def picture(self) -> bytes:
        """What is seen now, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """Ends it."""
        self._session = ""
        self._ask("Browser.close")  # with all the processes it has started
        self._process.wait(PATIENCE_S)
        for end in (self._in, self._out):
            os.close(end)

    def _ask(self, method: str, **params: Any) -> Any:
        self._count += 1
        question: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            question["sessionId"] = self._session
        os.write(self._out, json.dumps(question).encode() + b"\0")
        limit = time.monotonic() + PATIENCE_S
        while True:
            told = self._told(limit)
            if told.get("id") == self._count:
                assert "result" in told, told
                return told["result"]

    def _told(self, limit: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, limit - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._in, 1 << 16)
            assert data, "the browser has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))
