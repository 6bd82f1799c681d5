"""Cases that need processes of their own: the same answers everywhere, nothing but answers, a clean start and stop."""

from __future__ import annotations

from grinder.testing.probe import SEEDS, Finding, Job, sent
from grinder.testing.results import Failed, Skipped
from grinder.testing.subject import Subject
from grinder.testing.trials import fingerprint, trials

LIFE = ("on_start", "on_stop", "health")


def fresh(subject: Subject) -> str:
    """A fresh process gives the same answers, whatever the seed of its hashes.

    Mend: sort what comes out of a set before its order matters; keep no state; seed what is random.
    """
    findings = _findings(subject)
    here = [fingerprint(trial) for trial in trials(subject, raw=True)]
    for seed, finding in zip(SEEDS, findings, strict=True):
        if len(finding.answers) != len(here):
            raise Failed(f"it was asked {len(here)} times, in a process with hash seed {seed} {len(finding.answers)}")
        for mine, theirs, trial in zip(here, finding.answers, trials(subject, raw=True), strict=True):
            if mine != theirs:
                raise Failed(f"it answered {mine}, in a process with hash seed {seed} {theirs}, in {trial}")
    return f"{len(here)} answers in {len(SEEDS)} processes"


def pure(subject: Subject) -> str:
    """While it judges it does nothing else.

    It reads no clock and no environment variable, draws no randomness, touches no file, network, process or thread,
    imports and prints nothing.

    Mend: use the argument now; load files in on_start; record what you saw in the answer's inputs.
    """
    deeds = [deed for finding in _findings(subject) for deed in finding.deeds]
    if deeds:
        raise Failed("; ".join(dict.fromkeys(deeds)))
    return "clocks, environment, randomness, files, network, processes, threads, imports and output were watched"


def life(subject: Subject) -> str:
    """It starts, says how it is, and stops, leaving no thread behind.

    Mend: raise in on_start only when nothing can work; end in on_stop what on_start began, and join it.
    """
    mine = [hook for hook in LIFE if hook in subject.marked]
    if not mine:
        raise Skipped("it implements none of on_start, on_stop and health")
    (finding,) = sent(Job(target=subject.target, settings=subject.overrides), SEEDS[:1])
    if finding.faults:
        raise Failed("; ".join(finding.faults))
    return ", ".join(mine)


def _findings(subject: Subject) -> list[Finding]:
    """The gate's answers in fresh processes; asked for once."""
    from grinder.testing.strategies import corpus

    subject.gate  # noqa: B018 - there must be one
    if subject.target.attribute == "?":
        raise Skipped("another process cannot import it: it is an object that no module has a name for")
    if subject.findings is None:
        try:
            subject.findings = sent(Job(target=subject.target, settings=subject.overrides, scenes=corpus()), SEEDS)
        except Failed as failed:
            subject.findings = failed
    if isinstance(subject.findings, Exception):
        raise Failed(*subject.findings.args)
    return subject.findings
