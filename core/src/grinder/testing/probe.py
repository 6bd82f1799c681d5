"""Another process imports the plugin and asks it the same: ``python -m grinder.testing.probe RESULT``, job on stdin."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from grinder.host.foreign import CrashError, attempt
from grinder.testing.results import Failed
from grinder.testing.scene import Scene
from grinder.testing.subject import Subject, call_hook
from grinder.testing.target import Target
from grinder.testing.watch import Watch

TIMEOUT_S: Final = 60
JOIN_S: Final = 2.0
SEEDS: Final = ("0", "4711")
"""Hash seeds of the two processes that must agree."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to import, and the scenes to ask its gate in; without any it is started, asked for its health, stopped."""

    target: Target
    settings: dict[str, Any]
    scenes: tuple[Scene, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job: answers in the order of the scenes, or the faults of starting and stopping."""

    answers: tuple[str, ...] = ()
    deeds: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def sent(job: Job, seeds: tuple[str, ...]) -> list[Finding]:
    """Let processes do the job, each with its own hash seed, at the same time.

    Raises:
        Failed: one crashed, or did not end in time.
    """
    with TemporaryDirectory(prefix="grinder-testing-") as folder:
        results = [Path(folder) / seed for seed in seeds]
        children = [_start(job, seed, result) for seed, result in zip(seeds, results, strict=True)]
        ends = [_ended(child, result) for child, result in zip(children, results, strict=True)]
    if faults := [end for end in ends if isinstance(end, Failed)]:
        raise faults[0]
    return [end for end in ends if isinstance(end, Finding)]


def environment(target: Target) -> dict[str, str]:
    """Variables for a process that finds what this one finds, the target first, and leaves no bytecode."""
    path = os.pathsep.join([*target.folders, *(entry for entry in sys.path if entry)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _start(job: Job, seed: str, result: Path) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(  # noqa: S603 - this interpreter and this module
        [sys.executable, "-P", "-m", "grinder.testing.probe", str(result)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**environment(job.target), "PYTHONHASHSEED": seed},
    )
    assert child.stdin is not None  # noqa: S101 - it was asked for
    try:
        child.stdin.write(msgspec.json.encode(job, enc_hook=str))
        child.stdin.close()
    except BrokenPipeError:
        pass  # it ended before it read the job: how, is told when it is waited for
    child.stdin = None
    return child


def _ended(child: subprocess.Popen[bytes], result: Path) -> Finding | Failed:
    try:
        _, errors = child.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return Failed(f"a fresh process did not answer within {TIMEOUT_S} s")
    if child.returncode or not result.exists():
        last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        return Failed(f"a fresh process ended with {child.returncode}: {last[0]:.300}")
    return msgspec.json.decode(result.read_bytes(), type=Finding)


def work(job: Job) -> Finding:
    """Do a job, in this process."""
    from grinder.testing.trials import plan, prepared

    prepared(Scene())  # what grinder itself imports late is imported before anything is watched
    watch = Watch()
    subject = Subject(job.target.load(), job.target, job.settings)
    if not job.scenes:
        return _lived(subject)
    subject.gate  # noqa: B018 - starts the plugin
    rows = [(scene, values, prepared(scene)) for scene, values in plan(subject, job.scenes)]
    answers = tuple(filter(None, (_asked(subject, watch, *row) for row in rows)))
    subject.stop()
    return Finding(answers=answers, deeds=tuple(watch.seen))


def _asked(subject: Subject, watch: Watch, scene: Scene, values: Any, built: Any) -> str:
    from grinder.testing.trials import call, fingerprint

    if built.fault and "market" in subject.argnames:
        return ""
    trial = call(subject, scene, values, built, watch)
    return fingerprint(trial)


def _lived(subject: Subject) -> Finding:
    """Start, ask for health, stop."""
    faults: list[str] = []
    before = set(threading.enumerate())
    with TemporaryDirectory(prefix="grinder-testing-") as folder:
        context = subject.context(Path(folder))
        for hook, offered in (("on_start", {"context": context}), ("health", {}), ("on_stop", {})):
            if hook not in subject.marked:
                continue
            try:
                answer = attempt(call_hook, subject.marked[hook], offered)
            except CrashError as error:
                faults.append(f"{hook} raised {error}")
                continue
            if hook == "health" and not isinstance(answer, str):
                faults.append(f"health answered {type(answer).__name__}, must be a text, empty when well")
    for thread in set(threading.enumerate()) - before:
        thread.join(JOIN_S)
        if thread.is_alive():
            faults.append(f"thread {thread.name!r} still runs {JOIN_S:g} s after on_stop")
    return Finding(faults=tuple(faults))


def main() -> None:
    """Read the job, do it, write what came of it."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    Path(sys.argv[1]).write_bytes(msgspec.json.encode(work(job)))
    sys.stdout.flush()
    os._exit(0)  # a thread that the plugin has left running must not keep the process


if __name__ == "__main__":
    main()
