from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from grinder import ConfigError
from grinder.metrics.export import Metrics
from grinder.server import Server

Reply = tuple[int, Mapping[str, str], str]
Get = Callable[..., Awaitable[Reply]]


def serve(body: Callable[[Get, Server], Awaitable[None]], **changes: Any) -> None:
    """Run ``body`` against a real server on a free port of the loopback."""

    async def scenario() -> None:
        registry = CollectorRegistry()
        metrics = Metrics(registry)
        parts: dict[str, Any] = {
            "registry": registry,
            "readiness": dict,
            "plugins": lambda: [{"name": "warm_up", "mode": "shadow"}],
            "uptime": metrics.uptime_s,
        }
        server = Server("127.0.0.1", 0, **(parts | changes))
        await server.start()
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:

                async def get(path: str, method: str = "GET", **headers: str) -> Reply:
                    async with session.request(method, path, headers=headers) as answer:
                        return answer.status, dict(answer.headers), await answer.text()

                await body(get, server)
        finally:
            await server.stop()
            await server.stop()

    asyncio.run(scenario())


def test_health_tells_the_uptime():
    async def body(get: Get, server: Server) -> None:
        status, headers, text = await get("/healthz")
        found = json.loads(text)
        assert (status, found["status"]) == (200, "ok")
        assert isinstance(found["uptime_s"], float)
        assert headers["Content-Type"].startswith("application/json")
        assert server.port > 0

    serve(body)


def test_readiness_names_what_fails():
    failing: dict[str, str] = {}

    async def body(get: Get, _: Server) -> None:
        assert await ready(get) == (200, {"ready": True, "role": "active", "failing": {}})
        failing["feed"] = "no data of BTCUSDT for 12 s"
        assert await ready(get) == (
            503,
            {"ready": False, "role": "active", "failing": {"feed": "no data of BTCUSDT for 12 s"}},
        )

    async def ready(get: Get) -> tuple[int, Any]:
        status, _, text = await get("/readyz")
        return status, json.loads(text)

    serve(body, readiness=lambda: failing)


def test_a_check_that_raises_is_not_ready_and_tells_no_inside():
    def broken() -> dict[str, str]:
        raise RuntimeError("secret path")

    async def body(get: Get, _: Server) -> None:
        status, _, text = await get("/readyz")
        assert status == 503
        assert json.loads(text)["failing"] == {"readiness": "the check itself failed: RuntimeError"}

    serve(body, readiness=broken)


def test_plugins_and_their_failure(capsys):
    async def body(get: Get, _: Server) -> None:
        status, _, text = await get("/plugins.json")
        assert (status, json.loads(text)) == (200, [{"mode": "shadow", "name": "warm_up"}])

    serve(body)

    def broken() -> list[dict[str, str]]:
        raise RuntimeError("inside")

    async def failing(get: Get, _: Server) -> None:
        status, _, text = await get("/plugins.json")
        assert (status, json.loads(text)) == (500, {"error": "Internal Server Error", "path": "/plugins.json"})

    serve(failing, plugins=broken)
    log = capsys.readouterr().err
    assert log.startswith("HTTP_HANDLER_FAILED path=/plugins.json exception=")
    assert log.count("\n") == 1


def test_metrics_negotiate_their_format():
    async def body(get: Get, _: Server) -> None:
        status, headers, text = await get("/metrics")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain")
        assert "charset=utf-8" in headers["Content-Type"]
        assert "\ngrinder_up 1.0\n" in text
        assert "_created" not in text
        _, headers, text = await get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert headers["Content-Type"].startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")

    serve(body)


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/", 404), ("GET", "/metrics/x", 404), ("GET", "/%00<script>", 404), ("POST", "/healthz", 405),
    ("HEAD", "/healthz", 405), ("DELETE", "/readyz", 405), ("PUT", "/nowhere", 404),
])  # fmt: skip
def test_only_get_and_only_what_is_there(method, path, status):
    async def body(get: Get, _: Server) -> None:
        found, headers, text = await get(path, method)
        assert found == status
        assert headers["Content-Type"].startswith("application/json")
        if method != "HEAD":
            assert json.loads(text)["error"] in ("Not Found", "Method Not Allowed")
        if status == 405:
            assert headers["Allow"] == "GET"

    serve(body)


def test_a_port_in_use_says_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}: .*--metrics-port \(0 picks a free one\)"):
            start("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 99999), ("203.0.113.1", 0)])
def test_an_address_that_cannot_be_bound_is_a_configuration_error(host, port):
    with pytest.raises(ConfigError, match="metrics cannot be served on"):
        start(host, port)


def start(host: str, port: int) -> None:
    async def scenario() -> None:
        server = Server(host, port, registry=CollectorRegistry(), readiness=dict, plugins=list, uptime=lambda: 0.0)
        try:
            await server.start()
        finally:
            await server.stop()

    asyncio.run(scenario())


def test_stopping_closes_the_port():
    ports: list[int] = []

    async def body(get: Get, server: Server) -> None:
        await get("/healthz")
        ports.append(server.port)

    serve(body)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", ports[0])) != 0
