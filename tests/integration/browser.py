"""A headless Chromium, spoken to through its own protocol: no driver and no library between."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0", "--disable-dev-shm-usage",
)  # fmt: skip


def installed() -> str | None:
    """The browser's command; None when there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class NoBrowserError(Exception):
    """The browser is there but does not start on this machine."""


class Tab:
    """One page. What its console says, and what it could not load, is kept in ``complaints``."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._next = 0
        self._session = ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = asyncio.Event()
        self._answers: dict[int, asyncio.Future] = {}
        self._reader = asyncio.ensure_future(self._read())

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        self._next += 1
        answer = self._answers[self._next] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(
            {"id": self._next, "method": method, "params": params}
            | ({"sessionId": self._session} if self._session else {})
        )
        return await asyncio.wait_for(answer, 20)

    async def attach(self) -> None:
        """Open a page of its own and listen to it."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def show(self, page: Path, width: int, *, dark: bool = False, scripts: bool = True) -> None:
        """Load a page on a screen of this width."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=scheme)
        await self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._loaded.clear()
        await self.call("Page.navigate", url=page.as_uri())
        await asyncio.wait_for(self._loaded.wait(), 20)

    async def ask(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        said = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def key(self, name: str, text: str = "") -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            code = {"Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowRight": 39}.get(name, 0)
            more = {"text": text} if text and kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **more)

    async def mouse(self, kind: str, x: float, y: float) -> None:
        """Move (``mouseMoved``), press or release the mouse."""
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    async def picture(self) -> bytes:
        """The whole page as PNG."""
        said = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(said["data"])

    async def _read(self) -> None:
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                future = self._answers.pop(said["id"])
                if "error" in said:
                    future.set_exception(AssertionError(said["error"]))
                else:
                    future.set_result(said["result"])
                continue
            method, params = said["method"], said["params"]
            if method == "Page.loadEventFired":
                self._loaded.set()
            elif method in {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}:
                self.complaints.append(str(params))
            elif method == "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])


@asynccontextmanager
async def tab(command: str) -> AsyncIterator[Tab]:
    """A browser with a profile of its own, for one page after another."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            command, *FLAGS, *sandbox, f"--user-data-dir={profile}", stderr=asyncio.subprocess.PIPE
        )
        try:
            async with aiohttp.ClientSession() as client:
                address = await asyncio.wait_for(_address(process), 30)
                async with client.ws_connect(address, max_msg_size=0) as socket:
                    opened = Tab(socket)
                    await opened.attach()
                    yield opened
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    seen = b""
    while line := await process.stderr.readline():
        seen += line
        found = re.search(rb"listening on (ws://\S+)", line)
        if found:
            return found[1].decode()
    raise NoBrowserError(seen.decode(errors="replace")[-300:] or "it said nothing")
