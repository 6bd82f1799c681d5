"""What a run needs of its surroundings: the feed that was asked for, signals, the collector, where traces go."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Iterator
from typing import Final

from grinder.engine.options import SYNTHETIC_NS, SYNTHETIC_SYMBOLS, RunOptions
from grinder.engine.run import Loop
from grinder.evidence.summary import InputRow
from grinder.feeds.feed import Feed

COLLECT_AFTER: Final = 50_000
"""Allocations between two looks of the garbage collector while events are processed."""


def open_feed(options: RunOptions, configured: tuple[str, ...]) -> Feed:
    """The recordings, or the embedded synthetic market when there are none.

    Raises:
        ConfigError: a file is missing, or a symbol is not in it.
        InputError: a file is damaged.
    """
    symbols = options.symbols or configured
    if options.replay:
        from grinder.feeds.opening import open_recordings

        return open_recordings(options.replay, symbols=symbols, tolerant=options.tolerant)
    from grinder.feeds.synthetic import Synthetic

    return Synthetic(options.seed, symbols or SYNTHETIC_SYMBOLS, duration_ns=options.duration or SYNTHETIC_NS)


def input_rows(feed: Feed, seed: int) -> tuple[InputRow, ...]:
    """What a run's market is read from; the synthetic market goes by its seed."""
    if not feed.inputs:
        return (InputRow(path=f"synthetic:{seed}", first_ns=feed.first_ns, last_ns=feed.last_ns),)
    return tuple(
        InputRow(path=i.path, sha256=i.sha256, first_ns=i.first_ns, last_ns=i.last_ns, clock_shift_ns=i.clock_shift_ns)
        for i in feed.inputs
    )


@contextlib.contextmanager
def stop_signals(loop: Loop) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end the run gracefully, with everything flushed; under nohup, SIGHUP does not."""
    running = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        running.add_signal_handler(number, loop.stop, number)
    try:
        yield
    finally:
        for number in numbers:
            running.remove_signal_handler(number)


@contextlib.contextmanager
def calm_collector() -> Iterator[None]:
    """Let the garbage collector look more rarely, and only at what the run makes: hardly any of it has cycles."""
    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *threshold[1:])
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()


def print_trace(line: str) -> None:
    """Where hook calls are printed under ``GRINDER_TRACE=1``."""
    sys.stderr.write(f"TRACE {line}\n")
