"""``grinder explain ID``: why one order was or was not sent."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from grinder.cli.output import say, say_json
from grinder.errors import ConfigError, InputError
from grinder.evidence.explain import DecisionRow, closed_by_venue
from grinder.evidence.explain import explain as in_words
from grinder.evidence.markouts import MARKOUTS, MarkoutHead
from grinder.evidence.reading import RecordReader
from grinder.evidence.recorder import DECISIONS, FILLS
from grinder.evidence.summary import read_summary
from grinder.reasons import CORE_REASONS

DEFAULT_RUN: Final = Path("runs/paper")
LAST: Final = "last"
LAST_BLOCKED: Final = "last-blocked"
_MOST_FILLS: Final = 1000


class _FillHead(msgspec.Struct):
    intent_id: str
    client_id: str
    cause: str = ""


class _Fills:
    """What fills say of a client id: the intent of its order, or that the venue closed a position under it."""

    def __init__(self, reader: RecordReader, fills: Path, client_id: str) -> None:
        self.intent = ""
        self.closures: list[dict[str, Any]] = []
        for head, line in reader.rows(fills, _FillHead):
            if head.client_id == client_id:
                self.intent = self.intent or head.intent_id
                if head.cause and len(self.closures) < _MOST_FILLS:
                    self.closures.append(msgspec.json.decode(line))


class _Matches:
    """What one wanted id has found so far: the record itself, and those whose ids begin with it."""

    def __init__(self, wanted: str, intent_of_client: str) -> None:
        self._wanted = wanted
        self._exact = {wanted, intent_of_client} - {""}
        self.exact: bytes | None = None
        self.prefixed: dict[str, bytes] = {}

    def offer(self, head: DecisionRow, line: bytes) -> None:
        """Look at one decision."""
        named = head.id in self._exact or head.client_id in self._exact
        if named or self._wanted == LAST or (self._wanted == LAST_BLOCKED and head.outcome == "blocked"):
            self.exact = line
        elif head.id.startswith(self._wanted) and len(self.prefixed) < 2:
            self.prefixed[head.id] = line


@click.command()
@click.argument("decision_id", metavar="ID")
@click.option(
    "--run", "run_dir", type=click.Path(path_type=Path), default=DEFAULT_RUN, show_default=True,
    help="Directory of the run.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the records themselves as one JSON object.")
def explain(decision_id: str, run_dir: Path, as_json: bool) -> None:
    """Explain one decision: what was wanted, what each gate said, what came of it.

    ID is the id of the decision (its beginning is enough), the client order id that the venue shows, or one of
    'last' and 'last-blocked'. Of an order with which the venue itself closed a position it shows the fills.
    """
    if not run_dir.is_dir():
        what = "is no directory" if run_dir.exists() else "does not exist"
        raise ConfigError(f"run directory {run_dir} {what}; name one with --run, or make one with 'grinder run'")
    reader = RecordReader(lambda text: say(f"warning: {text}", err=True))
    fills = _Fills(reader, run_dir / FILLS, decision_id)
    line = _find(reader, run_dir / DECISIONS, decision_id, fills.intent)
    if line is not None:
        found = _Found(reader, run_dir, line)
        if as_json:
            say_json(found.as_json())
        else:
            say(found.as_text())
    elif fills.closures:
        if as_json:
            say_json(_as_json(None, fills.closures, None))
        else:
            say(closed_by_venue(decision_id, fills.closures))
    if reader.corrupt is not None:
        raise reader.corrupt
    if line is None and not fills.closures:
        raise ConfigError(_unknown(reader, run_dir / DECISIONS, decision_id))


def _find(reader: RecordReader, decisions: Path, wanted: str, intent_of_client: str) -> bytes | None:
    """The record of one decision; None when it is not known."""
    matches = _Matches(wanted, intent_of_client)
    for head, line in reader.rows(decisions, DecisionRow):
        matches.offer(head, line)
    if matches.exact is not None or len(matches.prefixed) != 1:
        return matches.exact
    return next(iter(matches.prefixed.values()))


def _unknown(reader: RecordReader, decisions: Path, wanted: str) -> str:
    if wanted in (LAST, LAST_BLOCKED):
        return f"{decisions} holds no {'blocked ' * (wanted == LAST_BLOCKED)}decision"
    beginning = (head.id for head, _ in reader.rows(decisions, DecisionRow) if head.id.startswith(wanted))
    if begun := list(islice(beginning, 3)):
        return f"{wanted!r} is the beginning of several ids, such as {', '.join(begun)}; write more of it"
    ids = (head.id for head, _ in reader.rows(decisions, DecisionRow))
    nearest = heapq.nlargest(3, ids, key=lambda known: (_likeness(known, wanted), known))
    if not nearest:
        return f"{decisions} holds no decision"
    if get_close_matches(wanted.lower(), (LAST, LAST_BLOCKED)) or wanted.lower().startswith(LAST):
        return f"no decision {wanted!r} in {decisions}; did you mean {LAST!r} or {LAST_BLOCKED!r}?"
    return f"no decision {wanted!r} in {decisions}; the nearest ids are {', '.join(nearest)}"


def _likeness(known: str, wanted: str) -> int:
    """How much two ids agree from both ends; cheap enough for a million of them."""
    ahead = _agreement(known, wanted)
    behind = _agreement(known[ahead:][::-1], wanted[ahead:][::-1])
    return 2 * (ahead + behind) - abs(len(known) - len(wanted))


def _agreement(one: str, other: str) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


def _as_json(decision: dict[str, Any] | None, fills: list[dict[str, Any]], markout: dict[str, Any] | None) -> str:
    parts = {"decision": decision, "fills": fills, "markout": markout}
    return msgspec.json.format(msgspec.json.encode(parts), indent=2).decode()


class _Found:
    """A decision that was found, with what came after it."""

    def __init__(self, reader: RecordReader, run_dir: Path, line: bytes) -> None:
        self._run_dir = run_dir
        self.decision: dict[str, Any] = msgspec.json.decode(line)
        known = self.decision["id"]
        fills = reader.rows(run_dir / FILLS, _FillHead)
        self.fills = [msgspec.json.decode(line) for head, line in fills if head.intent_id == known]
        self.markout: dict[str, Any] | None = None
        if (run_dir / MARKOUTS).exists():
            for head, row in reader.rows(run_dir / MARKOUTS, MarkoutHead):
                if head.id == known:
                    self.markout = msgspec.json.decode(row)

    def as_json(self) -> str:
        """The records as one JSON object."""
        return _as_json(self.decision, self.fills, self.markout)

    def as_text(self) -> str:
        """Plain sentences: the decision, and what came after it."""
        after = [*self.fills, *([self.markout] if self.markout is not None else [])]
        return in_words(self.decision, self._meaning(), after)

    def _meaning(self) -> Callable[[str], str]:
        meanings = dict(CORE_REASONS)
        try:
            summary = read_summary(self._run_dir)
            meanings |= summary.reasons if summary is not None else {}
        except InputError as error:
            say(f"warning: {error}; plugins' reasons are shown without their meaning", err=True)
        return lambda code: meanings.get(code, code)
