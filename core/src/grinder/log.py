"""Logs: one event a line, its name first, then ``key=value`` pairs; or JSON lines on request.

::

    THRESHOLD_RESOLVED mode=recommend_only recommended_bps=2500 level=info ts=2025-08-01T00:00:00.000Z

Values that hold blanks, quotes or control characters are written as JSON strings, so that a line stays a line.
Values whose key speaks of a secret are replaced, at any depth. A log that cannot be written never stops an order.
"""

from __future__ import annotations

import contextlib
import enum
import json as jsonlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from grinder.clock import Clock, LiveClock
from grinder.errors import ConfigError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
REDACTED: Final = "[REDACTED]"

_SECRETS: Final = ("apikey", "apisecret", "secret", "password", "passphrase", "privatekey", "token", "signature",
                   "authorization")  # fmt: skip
_SECRET_TEXT: Final = re.compile(
    r"""((?:api[_-]?(?:key|secret)|secret|password|passphrase|private[_-]?key|token|signature|authorization)"""
    r"""\w*["']?\s*[=:]\s*)"""
    r"""("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?:(?:bearer|basic)\s+)?[^\s&"',;})]+)""",
    re.IGNORECASE,
)
_BARE: Final = re.compile(r"[^\s\"'=\\]+")
_MAX_DEPTH: Final = 8


def utc(ns: int, digits: int = 3) -> str:
    """A time in ns as ISO 8601 text in UTC with ``digits`` (0 to 9) decimals; the bare number if out of range."""
    seconds, rest = divmod(ns, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{ns} ns"
    return f"{text}.{rest:09d}"[: 20 + digits if digits else 19] + "Z"


def redact(value: Any, depth: int = 0) -> Any:
    """A copy as plain JSON values, with secrets replaced.

    A value goes by its key (``api_key``, ``X-MBX-APIKEY``, ``apiSecret``, …); inside text, ``signature=…`` and
    the like are replaced as well. Whatever is not plain data is turned into text first.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, str):
        return _SECRET_TEXT.sub(rf"\1{REDACTED}", value)
    if depth >= _MAX_DEPTH:
        return "..."
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {str(k): REDACTED if _secret(str(k)) else redact(v, depth + 1) for k, v in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [redact(item, depth + 1) for item in value]
    if isinstance(value, BaseException):
        value = f"{type(value).__name__}: {value}"
    return redact(str(value), depth)


def _secret(key: str) -> bool:
    plain = key.lower().replace("_", "").replace("-", "")
    return any(word in plain for word in _SECRETS)


def _quoted(text: str) -> str:
    if text.isprintable():
        return text if _BARE.fullmatch(text) else jsonlib.dumps(text, ensure_ascii=False)
    return jsonlib.dumps(text).replace("\x7f", "\\u007f")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, dict | list):
        return _quoted(jsonlib.dumps(value, separators=(",", ":"), ensure_ascii=False))
    return jsonlib.dumps(value)


class _Sink:
    """Standard error and, if wanted, a file. When the file fails, standard error says so once per failure."""

    def __init__(self, path: Path | None) -> None:
        self._fd = -1
        self._failing = False
        if path is not None:
            try:
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise ConfigError(f"log file {path}: {error.strerror}; give another with --log-file") from error

    def write(self, line: str) -> None:
        _print(line)
        if self._fd < 0:
            return
        # After a failure part of a line may stand in the file: the next one starts afresh.
        data = ("\n" * self._failing + line + "\n").encode("utf-8", "backslashreplace")
        try:
            whole = os.write(self._fd, data) == len(data)
            problem = "" if whole else "no space left"
        except OSError as error:
            problem = str(error.strerror)
        if problem and not self._failing:
            _print(f"LOG_FILE_FAILED error={_quoted(problem)}")
        self._failing = bool(problem)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _print(line: str) -> None:
    # Looked up each time, since terminals and tests replace it; nobody may be left to read it.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(line + "\n")


class _Renderer:
    """The last processor of structlog: redacts, stamps, writes; then stops the chain."""

    def __init__(self, sink: _Sink, clock: Clock, json: bool) -> None:
        self.sink = sink
        self._clock = clock
        self._json = json

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        """The line for one event."""
        name = str(event.pop("event", ""))
        if trace := _exception_text(event.pop("exc_info", None)):
            event["exception"] = trace
        pairs = redact(dict(event))
        for own in ("level", "ts"):
            if own in pairs:
                pairs[f"{own}_"] = pairs.pop(own)
        pairs |= {"level": method, "ts": utc(self._clock.now_ns())}
        if self._json:
            return jsonlib.dumps({"event": redact(name)} | pairs, separators=(",", ":"))
        shown = redact(name)
        shown = shown if shown.isprintable() else _quoted(shown)
        words = (f"{re.sub(r'[^0-9A-Za-z_.-]', '_', key)}={_text(value)}" for key, value in pairs.items())
        return " ".join((shown, *words))

    def msg(self, line: str) -> None:
        """Where structlog hands the finished line over."""
        self.sink.write(line)

    debug = info = warning = error = critical = msg


def _exception_text(exc_info: Any) -> str:
    if isinstance(exc_info, BaseException):
        error: BaseException | None = exc_info
    elif isinstance(exc_info, tuple):
        error = exc_info[1]
    else:
        error = sys.exc_info()[1] if exc_info else None
    return "".join(traceback.format_exception(error)).rstrip() if error is not None else ""


class _Bridge(logging.Handler):
    """Brings what libraries say through :mod:`logging` (aiohttp, asyncio, ccxt) into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line for one record."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # the library's arguments do not fit its own format
            message = str(record.msg)
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.ERROR)
        get_logger().log(level, "LIBRARY_LOG", exc_info=record.exc_info, logger=record.name, message=message)


def configure(level: str = "info", *, json: bool = False, file: Path | None = None, clock: Clock | None = None) -> None:
    """Set up logging for the process: to standard error and, if named, to a file (mode 0600, appended).

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``; what is below is dropped.
        json: JSON lines instead of text.
        file: where lines go besides.
        clock: gives the time stamps; the machine's clock unless a replay injects its own.

    Raises:
        ConfigError: unknown level, or the file cannot be opened.
    """
    import structlog

    if level not in LEVELS:
        raise ConfigError(f"log level {level!r} is unknown; choose one of {', '.join(LEVELS)}")
    renderer = _Renderer(_Sink(file), clock or LiveClock(), json)
    for previous in structlog.get_config()["processors"]:
        if isinstance(previous, _Renderer):
            previous.sink.close()
    structlog.configure(
        processors=[renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: renderer,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [*(h for h in root.handlers if not isinstance(h, _Bridge)), _Bridge(logging.WARNING)]


def get_logger() -> FilteringBoundLogger:
    """The logger: ``get_logger().info("EVENT_NAME", key=value)``. Set up with defaults if nobody has."""
    import structlog

    if not structlog.is_configured():
        configure()
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def program_logger(level: str = "info") -> FilteringBoundLogger:
    """A logger for a host inside somebody else's program: its lines go to the ``grinder`` logger of :mod:`logging`.

    Nothing of the program's own logging is changed; the program decides where lines go.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``; what is below is dropped.
    """
    import structlog

    logger: FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger("grinder"),
        processors=[_Renderer(_Sink(None), LiveClock(), json=False)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
    )
    return logger
