from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder import ConfigError, ManualClock, Side
from grinder.log import REDACTED, configure, get_logger, redact, utc

CLOCK = ManualClock(1754006400 * 10**9 + 123_456_789)
STAMP = "level=info ts=2025-08-01T00:00:00.123Z"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = list(logging.getLogger().handlers)
    yield
    configure("info")
    structlog.reset_defaults()
    logging.getLogger().handlers = before


def line(capsys: Any) -> str:
    captured = capsys.readouterr()
    assert captured.out == "", "standard output belongs to results"
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    return captured.err[:-1]


def test_an_event_is_a_line_exactly_as_the_documents_print_it(capsys):
    configure(clock=CLOCK)
    get_logger().info("THRESHOLD_RESOLVED", mode="recommend_only", recommended_bps=2500, provenance_ok=True)
    assert line(capsys) == f"THRESHOLD_RESOLVED mode=recommend_only recommended_bps=2500 provenance_ok=true {STAMP}"


@pytest.mark.parametrize(("value", "shown"), [
    ("plain", "plain"), ("two words", '"two words"'), ("", '""'), ('say "x"', '"say \\"x\\""'), ("a=b", '"a=b"'),
    ("two\nlines", '"two\\nlines"'), ("a\x1b[31m", '"a\\u001b[31m"'), ("\u2028", '"\\u2028"'), ("\x7f", '"\\u007f"'),
    ("grün", "grün"), (None, "null"), (1.5, "1.5"), (float("nan"), "nan"), (Decimal("1.50"), "1.50"),
    (Side.BUY, "BUY"), (Path("/a b"), '"/a b"'), (["x", 1], '"[\\"x\\",1]"'), (ValueError("no"), '"ValueError: no"'),
    (b"x", "b'x'"),
])  # fmt: skip
def test_values(capsys, value, shown):
    if shown == "b'x'":
        shown = "\"b'x'\""
    configure(clock=CLOCK)
    get_logger().info("E", v=value)
    assert line(capsys) == f"E v={shown} {STAMP}"


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=30)), st.text(max_size=20))
def test_whatever_is_logged_a_line_stays_a_line(pairs, event):
    taken: list[str] = []
    configure(clock=CLOCK)
    renderer = structlog.get_config()["processors"][0]
    renderer.sink.write = taken.append
    get_logger().info(event, **pairs)
    assert len(taken) == 1
    assert taken[0].isprintable()
    if not event:
        words = [word.partition("=") for word in shlex.split(taken[0])]
        assert [key for key, _, _ in words[:-2]] == list(pairs)
    configure(json=True, clock=CLOCK)
    structlog.get_config()["processors"][0].sink.write = taken.append
    get_logger().info(event, **pairs)
    assert json.loads(taken[1])["level"] == "info"
    assert taken[1].splitlines() == [taken[1]]


def test_json_lines(capsys):
    configure(json=True, clock=CLOCK)
    get_logger().warning("E", a={"b": [1, None]}, n=float("inf"), level="mine")
    assert json.loads(line(capsys)) == {
        "event": "E", "a": {"b": [1, None]}, "n": "inf", "level_": "mine", "level": "warning",
        "ts": "2025-08-01T00:00:00.123Z",
    }  # fmt: skip


def test_levels_filter(capsys):
    configure("warning", clock=CLOCK)
    get_logger().info("NO")
    get_logger().error("YES")
    assert line(capsys).startswith("YES level=error")
    with pytest.raises(ConfigError, match="log level 'loud' is unknown; choose one of debug, info, warning, error"):
        configure("loud")


def broken(text: str) -> None:
    raise RuntimeError(text)


def test_an_exception_is_one_line(capsys):
    configure(clock=CLOCK)
    try:
        broken("two\nlines")
    except RuntimeError:
        get_logger().exception("BROKEN")
    shown = line(capsys)
    assert shown.startswith('BROKEN exception="Traceback (most recent call last):\\n')
    assert "level=error" in shown


class Keys(msgspec.Struct):
    """What an adapter might log by mistake."""

    api_key: str
    venue: str


SECRET = "pl4nted-S3CRET"  # noqa: S105


@pytest.mark.parametrize("pairs", [
    {"api_key": SECRET}, {"apiKey": SECRET}, {"API_SECRET": SECRET}, {"secret": SECRET}, {"db_password": SECRET},
    {"listen_token": SECRET}, {"signature": SECRET}, {"Authorization": SECRET}, {"privateKey": SECRET},
    {"headers": {"X-MBX-APIKEY": SECRET}}, {"deep": [[{"a": ({"secret": SECRET},)}]]}, {"keys": Keys(SECRET, "b")},
    {"url": f"https://x/order?qty=1&signature={SECRET}&ts=1"}, {"error": ValueError(f"api_key='{SECRET} x'")},
    {"header": f"Authorization: Bearer {SECRET}"}, {"body": json.dumps({"apiSecret": f"{SECRET} two"})},
    {"api_key": {"nested": SECRET}}, {"secret": [SECRET]},
])  # fmt: skip
@pytest.mark.parametrize("as_json", [False, True])
def test_planted_secrets_never_appear(capsys, pairs, as_json):
    configure(json=as_json, clock=CLOCK)
    get_logger().info("E", **pairs)
    shown = line(capsys)
    assert SECRET not in shown
    assert " two" not in shown
    assert REDACTED in shown


def test_a_secret_in_the_event_or_in_a_traceback_is_gone(capsys):
    configure(clock=CLOCK)
    try:
        broken(f"GET /x?signature={SECRET}")
    except RuntimeError:
        get_logger().exception(f"token={SECRET}")
    assert SECRET not in line(capsys)


def test_what_is_no_secret_stays():
    plain = {"symbol": "BTCUSDT", "key": "k", "note": "the secret is missing", "n": 1}
    assert redact(plain) == plain
    loop: list[Any] = []
    loop.append(loop)
    assert "..." in str(redact(loop)), "a loop ends"


def test_the_file_gets_the_same_lines_and_is_private(capsys, tmp_path):
    path = tmp_path / "run.log"
    for event in ("ONE", "TWO"):
        configure(clock=CLOCK, file=path)
        get_logger().info(event)
    assert path.read_text() == f"ONE {STAMP}\nTWO {STAMP}\n" == capsys.readouterr().err
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_opened_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory; give another with --log-file"):
        configure(file=tmp_path / "none/run.log")


def test_a_full_disk_is_told_once_and_stops_nobody(capsys):
    configure(clock=CLOCK, file=Path("/dev/full"))
    for _ in range(3):
        get_logger().info("E")
    err = capsys.readouterr().err
    assert err.count("E level") == 3
    assert err.count('LOG_FILE_FAILED error="No space left on device"') == 1


def test_after_a_failure_the_file_goes_on_with_a_line_of_its_own(capsys, tmp_path):
    path = tmp_path / "run.log"
    configure(clock=CLOCK, file=path)
    sink = structlog.get_config()["processors"][0].sink
    get_logger().info("ONE")
    kept, sink._fd = sink._fd, os.open("/dev/full", os.O_WRONLY)
    get_logger().info("LOST")
    os.close(sink._fd)
    sink._fd = kept
    get_logger().info("TWO")
    assert path.read_text() == f"ONE {STAMP}\n\nTWO {STAMP}\n"


def test_nobody_reading_standard_error_stops_nobody(monkeypatch):
    configure(clock=CLOCK)
    full = open("/dev/full", "w", buffering=1)  # noqa: PTH123, SIM115
    for stderr in (full, None):
        monkeypatch.setattr(sys, "stderr", stderr)
        get_logger().info("E")
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_libraries_speak_through_the_same_lines(capsys):
    configure(clock=CLOCK)
    logging.getLogger("ccxt").warning("retry %s after signature=%s", 2, SECRET)
    shown = line(capsys)
    assert shown.startswith('LIBRARY_LOG logger=ccxt message="retry 2 after signature=[REDACTED]"')
    assert "level=warning" in shown
    bridge = logging.getLogger().handlers[-1]
    bridge.handle(logging.LogRecord("ccxt", logging.CRITICAL, "f.py", 1, "%d", ("not a number",), None))
    assert "message=%d level=error" in line(capsys)


def test_the_defaults_write_to_standard_error_only():
    code = "from grinder.log import get_logger; get_logger().info('E', a=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.startswith("E a=1 level=info ts=2")


def test_importing_it_does_not_import_structlog():
    code = "import sys, grinder.log; print('structlog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


def test_times():
    assert utc(1754006400 * 10**9 + 123_456_789, 9) == "2025-08-01T00:00:00.123456789Z"
    assert utc(1754006400 * 10**9, 0) == "2025-08-01T00:00:00Z"
    assert utc(0) == "1970-01-01T00:00:00.000Z"
    assert utc(-1, 9) == "1969-12-31T23:59:59.999999999Z"
    assert utc(10**30) == f"{10**30} ns"
