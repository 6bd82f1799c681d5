"""``grinder record``: any feed as a compact recording that replays exactly."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from grinder.cli.output import progress, say, say_json
from grinder.cli.params import Duration, Folder, Symbols

if TYPE_CHECKING:
    from grinder.feeds.recorder import Recorded, Recorder


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", type=Folder(), required=True, help="Folder of the recording: new, or empty.")
@click.option("--replay", multiple=True, type=click.Path(path_type=Path), help="A recording; may be given many times. "
              "Without one the embedded synthetic market is recorded.")  # fmt: skip
@click.argument("more_recordings", nargs=-1, type=click.Path(path_type=Path), metavar="[RECORDING]...")
@click.option("--symbols", type=Symbols(), default="", help="Comma-separated; default: those of the recording.")
@click.option("--duration", type=Duration(), help="End after this much event time, such as 90s or 15m.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of the synthetic market."
)
@click.option("--rows", type=click.IntRange(1, 1_000_000), default=50_000, show_default=True,
              help="Most rows of a partition.")  # fmt: skip
@click.option("--tolerant", is_flag=True, help="Skip and count damaged input instead of stopping at it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def record(**given: Any) -> None:
    """Store market data as Parquet partitions by hour, to be replayed exactly.

    Whatever 'grinder run' can replay can be recorded, several files as one feed. Venue rules travel with it. A
    partition is there whole or not at all; what an interrupt leaves can be replayed. Needs grinder-core[parquet].
    """
    from grinder.engine.options import RunOptions
    from grinder.engine.surroundings import open_feed
    from grinder.feeds.recorder import Recorder

    replay = (*given["replay"], *given["more_recordings"])
    options = RunOptions(
        symbols=given["symbols"],
        replay=replay,
        duration=given["duration"],
        seed=given["seed"],
        tolerant=given["tolerant"],
    )
    feed = open_feed(options, ())
    recorder = Recorder(given["out"], feed, rows=given["rows"], duration_ns=given["duration"] or 0)
    try:
        with _stopped_by_signals(recorder), progress() as show:
            recorder.run(show)
    finally:
        if recorder.rows:
            _print(recorder.recorded(), as_json=given["as_json"])
        feed.close()
    if recorder.stopping:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _stopped_by_signals(recorder: Recorder) -> Iterator[None]:
    """SIGINT and SIGTERM end the recording with everything that has come written; the second ends it at once."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if recorder.stopping:
            raise KeyboardInterrupt
        recorder.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(done: Recorded, *, as_json: bool) -> None:
    import msgspec

    from grinder.evidence.text import printable
    from grinder.log import utc

    if as_json:
        say_json(msgspec.json.encode(done).decode())
        return
    state = "" if done.complete else ", not complete"
    say(f"recorded  {printable(done.path)}{state}")
    say(f"events    {done.rows:,} of {printable(', '.join(done.symbols))}")
    say(f"time      {utc(done.first_ns)} to {utc(done.last_ns)}")
    say(f"size      {done.bytes:,} bytes in {done.partitions} partitions")
    for kind, count in done.skipped.items():
        say(f"skipped   {count} ({kind})")
