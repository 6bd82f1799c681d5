"""Every case on one plugin, in a process of its own: a plugin that crashes or hangs takes nobody with it.

``python -m grinder.testing.checking RESULTS``, job on stdin; RESULTS gets a line for each case as soon as it is known.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from grinder.errors import ConfigError
from grinder.testing.cases import CASES, Result, Status
from grinder.testing.probe import Job, environment

TIMEOUT_S: Final = 300
WORKER: Final = (sys.executable, "-P", "-m", "grinder.testing.checking")
REFUSED: Final = "refused"
"""Case number of a line that says why nothing could be tried."""


def check(job: Job, timeout_s: float = TIMEOUT_S) -> tuple[Result, ...]:
    """Try every case in another process.

    Args:
        job: what to import, and values of its settings.
        timeout_s: after which the process is ended, and the case that it was at fails.

    Raises:
        ConfigError: the plugin cannot be imported.
    """
    with TemporaryDirectory(prefix="grinder-testing-") as folder:
        lines = Path(folder) / "results"
        end = _run(job, lines, timeout_s)
        known = [msgspec.json.decode(line, type=Result) for line in _whole(lines)]
    if known and known[0].case == REFUSED:
        raise ConfigError(known[0].why)
    if len(known) == len(CASES):
        return tuple(known)
    at, *later = CASES[len(known) :]
    failed = Result(case=at.number, title=at.title, status=Status.FAIL, why=end, advice=at.advice)
    rest = (
        Result(case=case.number, title=case.title, status=Status.SKIP, why=f"not tried, since {at.number} ended it all")
        for case in later
    )
    return (*known, failed, *rest)


def _run(job: Job, lines: Path, timeout_s: float) -> str:
    """Let the process do it; how it ended. It and all that it started are gone afterwards."""
    child = subprocess.Popen(  # noqa: S603 - this interpreter and this module
        [*WORKER, str(lines)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**environment(job.target), "HYPOTHESIS_STORAGE_DIRECTORY": str(lines.parent)},
        process_group=0,
    )
    try:
        _, errors = child.communicate(msgspec.json.encode(job, enc_hook=str), timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return f"the process was still at it after {timeout_s:g} s and was ended"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
    return f"the process ended with {child.returncode} while this was tried: {last[0]:.300}"


def _whole(lines: Path) -> list[bytes]:
    return (
        [line for line in lines.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        if lines.exists()
        else []
    )


def work(job: Job, lines: Path) -> None:
    """Try the cases, in this process."""
    from grinder.testing.conformance import results
    from grinder.testing.subject import Subject

    with lines.open("wb", buffering=0) as file:

        def tell(result: Result) -> None:
            file.write(msgspec.json.encode(result) + b"\n")

        try:
            plugin: Any = job.target.load()
        except ConfigError as error:
            tell(Result(case=REFUSED, title="", status=Status.FAIL, why=str(error)))
            return
        subject = Subject(plugin, job.target, job.settings)
        for result in results(subject):
            tell(result)
        subject.stop()


def main() -> None:
    """Read the job and do it."""
    work(msgspec.json.decode(sys.stdin.buffer.read(), type=Job), Path(sys.argv[1]))
    os._exit(0)  # a thread that the plugin has left running must not keep the process


if __name__ == "__main__":
    main()
