"""The small HTTP server beside the order path: metrics, health, readiness, plugins. It only reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from grinder.errors import ConfigError
from grinder.log import get_logger

if TYPE_CHECKING:
    from aiohttp import web
    from prometheus_client import CollectorRegistry

_STOP_S: Final = 1.0


class Server:
    """Serves ``/metrics``, ``/healthz``, ``/readyz`` and ``/plugins.json`` on the running event loop.

    Args:
        host: address to bind.
        port: 0 picks a free one.
        registry: what ``/metrics`` exports.
        readiness: names the failing checks, with a sentence for each; empty means ready.
        plugins: the loaded plugins, as plain data.
        uptime: seconds since the process started.

    Attributes:
        port: the port that is bound, once started.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        registry: CollectorRegistry,
        readiness: Callable[[], Mapping[str, str]],
        plugins: Callable[[], Sequence[Mapping[str, Any]]],
        uptime: Callable[[], float],
    ) -> None:
        self.host = host
        self.port = port
        self._registry = registry
        self._readiness = readiness
        self._plugins = plugins
        self._uptime = uptime
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            ConfigError: the address cannot be bound, for instance because the port is in use.
        """
        from aiohttp import web

        runner = web.AppRunner(self._app(), access_log=None, handle_signals=False, shutdown_timeout=_STOP_S)
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            raise ConfigError(
                f"metrics cannot be served on {self.host}:{self.port}: {error}; stop what uses the port, or choose "
                "another with --metrics-port (0 picks a free one) or --metrics-host"
            ) from error
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and every connection; calling it again does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _app(self) -> web.Application:
        from aiohttp import web
        from prometheus_client.aiohttp import make_aiohttp_handler

        app = web.Application(middlewares=[_json_errors()])
        get = app.router.add_get
        get("/metrics", make_aiohttp_handler(self._registry), allow_head=False)
        get("/healthz", self._healthz, allow_head=False)
        get("/readyz", self._readyz, allow_head=False)
        get("/plugins.json", self._plugins_json, allow_head=False)
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return _json(200, {"status": "ok", "uptime_s": round(self._uptime(), 3)})

    async def _readyz(self, _: web.Request) -> web.Response:
        try:
            failing = dict(self._readiness())
        except Exception as error:  # noqa: BLE001 - a check that fails to answer is not a pass
            failing = {"readiness": f"the check itself failed: {type(error).__name__}"}
        body = {"ready": not failing, "role": "active", "failing": failing}
        return _json(503 if failing else 200, body)

    async def _plugins_json(self, _: web.Request) -> web.Response:
        return _json(200, list(self._plugins()))


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    from aiohttp import web

    data = msgspec.json.encode(body, order="deterministic")
    return web.Response(status=status, body=data, content_type="application/json", headers=headers)


def _json_errors() -> Any:
    """A middleware: every error is JSON, and none shows the inside of the process."""
    from aiohttp import web

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            return _json(error.status, {"error": error.reason, "path": request.path}, allow)
        except Exception:  # noqa: BLE001 - nothing that happens here may reach the order path
            get_logger().exception("HTTP_HANDLER_FAILED", path=request.path)
            return _json(500, {"error": "Internal Server Error", "path": request.path})

    return middleware
