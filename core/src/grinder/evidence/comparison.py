"""Two runs side by side: their figures, what they were given, and the first decision at which they part."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from grinder.evidence.gathering import Gathered
from grinder.evidence.parting import Pairs, Parting
from grinder.evidence.summary import InputRow, Pnl, Summary
from grinder.evidence.text import number
from grinder.log import utc

Value: TypeAlias = int | float | Decimal | None

_MEASURED: Final = "measured"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both runs. Those of the group ``measured`` differ between equal runs."""

    group: str
    name: str
    a: Value
    b: Value

    @property
    def measured(self) -> bool:
        """Whether it depends on the machine and not on the run."""
        return self.group == _MEASURED

    @property
    def difference(self) -> Value:
        """The second less the first; None where one of them is not known."""
        if self.a is None or self.b is None:
            return None
        if isinstance(self.a, float) or isinstance(self.b, float):
            return float(self.b) - float(self.a)
        return self.b - self.a

    def change(self) -> str:
        """The difference for people: signed, with per cents where that says something; ``=`` when there is none."""
        if self.a == self.b:
            return "="
        difference = self.difference
        if difference is None:
            return "?"
        text = number(difference)
        text = text if text.startswith("-") else f"+{text}"
        share = float(difference) / abs(float(self.a)) if self.a else 0.0
        return f"{text} ({100 * share:+,.1f} %)" if share else text


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the runs were given and that differs: a setting, an input, a plugin."""

    kind: str
    key: str
    a: Any
    b: Any


class Comparison:
    """Two runs, compared. The records are streamed; what is kept is bounded.

    Attributes:
        a: what was gathered of the first run.
        b: of the second.
        figures: of both.
        given: what differs of what they were given.
        decisions: their decisions in pairs, and so ``fills`` and ``payments``.
    """

    def __init__(self, a: Path, b: Path) -> None:
        self.a, self.b = Gathered(a), Gathered(b)
        self.figures = tuple(_figures(self.a, self.b))
        self.given = tuple(_given(self.a, self.b))
        self.decisions, self.fills, self.payments = (Pairs(kind, a, b) for kind in ("decision", "fill", "payment"))

    @property
    def same(self) -> bool:
        """Whether decisions, fills, payments and every figure that is not measured are there and the same."""
        return all(pairs.same for pairs in self.records) and all(f.a == f.b for f in self.figures if not f.measured)

    @property
    def records(self) -> tuple[Pairs, ...]:
        """Every kind of record that was compared."""
        return self.decisions, self.fills, self.payments

    @property
    def decided(self) -> int:
        """Decisions that were compared."""
        return self.decisions.compared

    @property
    def noticed(self) -> Parting | None:
        """The first decision whose record differs in anything, such as a threshold that changed nothing."""
        return self.decisions.noticed

    @property
    def parting(self) -> Parting | None:
        """The first decision that differs in what was wanted or decided; None when all are the same."""
        return self.decisions.parting


def _figures(a: Gathered, b: Gathered) -> Iterator[Figure]:
    for group, name, get in _PLAIN:
        yield Figure(group=group, name=name, a=get(a.summary), b=get(b.summary))
    one, other = a.summary.decisions, b.summary.decisions
    for reason in sorted(one.by_reason.keys() | other.by_reason.keys()):
        yield Figure(group="reason", name=reason, a=one.by_reason.get(reason, 0), b=other.by_reason.get(reason, 0))
    for gate in [*one.by_gate, *(name for name in other.by_gate if name not in one.by_gate)]:
        for verdict in ("block", "shadow_block", "shrink", "warn", "error"):
            counts = tuple(getattr(each.by_gate.get(gate), verdict, 0) for each in (one, other))
            if any(counts):
                yield Figure(group="gate", name=f"{gate} {verdict.replace('_', ' ')}", a=counts[0], b=counts[1])
    for group, kind in (("money", "payments"), ("fills", "venue_closures")):
        mine, theirs = getattr(a.summary, kind), getattr(b.summary, kind)
        for key in sorted(mine.keys() | theirs.keys()):
            name = key.replace("_", " ") if group == "money" else f"closed by the venue: {key}"
            yield Figure(group=group, name=name, a=mine.get(key, 0), b=theirs.get(key, 0))
    yield Figure(group="money", name="largest drawdown", a=_fall(a), b=_fall(b))
    for group, name, get in _TIMES:
        yield Figure(group=group, name=name, a=get(a.summary), b=get(b.summary))


def _fall(run: Gathered) -> float | None:
    return run.account.deepest[0] if run.account.last is not None else None


_PLAIN: Final[tuple[tuple[str, str, Any], ...]] = (
    ("wanted", "orders", lambda s: s.decisions.orders.wanted),
    *(("wanted", f"orders {name}", lambda s, n=name: getattr(s.decisions.orders, n)) for name in (
        "allowed", "blocked", "dropped")),
    ("wanted", "cancels", lambda s: s.decisions.cancels.wanted),
    ("wanted", "cancels not sent", lambda s: s.decisions.cancels.unsent),
    *(("orders", name.replace("_", " "), lambda s, n=name: getattr(s.orders, n)) for name in (
        "accepted", "rejected", "unknown", "absent", "cancelled", "filled", "partially_filled")),
    ("fills", "fills", lambda s: s.fills),
    ("fills", "as maker", lambda s: s.maker_fills),
    ("fills", "orders with a fill", lambda s: s.filled_orders),
    ("money", "volume", lambda s: s.volume),
    ("money", "fees", lambda s: 0 - s.fees),
    *(("money", f"pnl {name}", lambda s, n=name: getattr(s.pnl, n)) for name in Pnl.__struct_fields__),
    ("feed", "events", lambda s: s.events),
    ("feed", "gaps", lambda s: s.feed.gaps),
    ("feed", "longest silence, ms", lambda s: s.feed.stale_ms_max),
    ("feed", "book checks", lambda s: s.feed.book_checks),
    ("feed", "book checks failed", lambda s: s.feed.book_mismatches),
)  # fmt: skip
_TIMES: Final[tuple[tuple[str, str, Any], ...]] = (
    (_MEASURED, "decision median, µs", lambda s: s.decision_us.p50),
    (_MEASURED, "decision p99, µs", lambda s: s.decision_us.p99),
    (_MEASURED, "decision longest, µs", lambda s: s.decision_us.max),
    (_MEASURED, "events a second", lambda s: s.events_per_s),
)


def _given(a: Gathered, b: Gathered) -> Iterator[Given]:
    for kind, one, other in (
        ("run", _identity(a.summary), _identity(b.summary)),
        ("setting", *_settings(a, b)),
        ("plugin", _plugins(a.summary), _plugins(b.summary)),
    ):
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                yield Given(kind=kind, key=key, a=one.get(key), b=other.get(key))
    for place, rows in enumerate(zip_longest(a.summary.inputs, b.summary.inputs), 1):
        if len({_content(row) for row in rows}) > 1:
            mine, theirs = (_source(row) for row in rows)
            yield Given(kind="input", key=str(place), a=mine, b=theirs)


def _settings(a: Gathered, b: Gathered) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings by key; their hashes where a run left no more."""
    if a.settings and b.settings:
        return a.settings, b.settings
    return {"sha256 of all": a.summary.settings_sha256}, {"sha256 of all": b.summary.settings_sha256}


def _identity(s: Summary) -> dict[str, Any]:
    return {"profile": s.profile, "seed": s.seed}


def _content(row: InputRow | None) -> tuple[Any, ...] | None:
    """What makes an input the same: its hash where it has one, since the same recording may lie elsewhere."""
    return None if row is None else (row.sha256 or row.path, row.first_ns, row.last_ns)


def _source(row: InputRow | None) -> str | None:
    """An input in short: the beginning of its hash where it has one, else the time that it covers."""
    if row is None:
        return None
    covered = f"{utc(row.first_ns, 0)}, {(row.last_ns - row.first_ns) / 1e9:,.0f} s" if row.last_ns else ""
    return f"{row.path} {row.sha256[:12] or covered}".rstrip()


def _plugins(s: Summary) -> dict[str, Any]:
    return {row.name: f"{row.version} {row.mode}".strip() for row in s.plugins}
