"""Funding: amounts to the last digit, and every instant exactly once, whatever the feed leaves out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder import MarkPrice
from grinder_exchange_paper.funding import HOUR_NS, Due, FundingClock, payment

D = Decimal
MIDNIGHT = 20_000 * 24 * HOUR_NS
MINUTE = HOUR_NS // 60


@pytest.mark.parametrize(
    ("qty", "mark", "rate", "amount"),
    [
        ("1", "50000", "0.0001", "-5"),  # a long position pays
        ("-1", "50000", "0.0001", "5"),  # a short position receives
        ("1", "50000", "-0.0001", "5"),
        ("-1", "50000", "-0.0001", "-5"),
        ("0.013", "60961.7", "0.00012345", "-0.09783438"),  # 0.097834384245
        ("-0.001", "12345.6", "0.00004050", "0.00050000"),  # 0.0004999968
        ("0.001", "0.05", "0.0001", "-0.00000001"),  # 0.000000005: half up
        ("0", "50000", "0.0001", "0"),
    ],
)
def test_the_amount_of_a_position(qty, mark, rate, amount):
    assert payment(D(qty), D(mark), D(rate)) == D(amount)


def hour(hours, ms=0):
    return MIDNIGHT + round(hours * HOUR_NS) + ms * 1_000_000


def event(at_ns, next_ns, rate="0.0001", mark="50000"):
    return MarkPrice("BTCUSDT", at_ns, at_ns, mark, mark, rate, next_ns)


class Venue:
    """Asks for what is due before it learns anything, as the venue does."""

    def __init__(self, clock):
        self.clock = clock
        self.paid = []

    def wait(self, now):
        self.paid += self.clock.due(now)
        return self

    def see(self, now, next_ns, rate="0.0001", mark="50000"):
        self.wait(now).clock.observe(event(now, next_ns, rate, mark))
        return self

    @property
    def told(self):
        return [((due.at_ns - MIDNIGHT) / HOUR_NS, str(due.mark), str(due.rate)) for due in self.paid]


@pytest.fixture
def venue():
    return Venue(FundingClock(hour(7)))


def test_the_last_rate_and_mark_before_the_instant_count(venue):
    venue.see(hour(7, 1), hour(8), "0.0001", "50000").see(hour(7, 5), hour(8), "0.0003", "50100")
    assert venue.wait(hour(8) - 1).told == []
    assert venue.wait(hour(8)).told == [(8, "50100", "0.0003")]
    venue.see(hour(8, 5), hour(16), "0.0009", "50200").wait(hour(15))
    assert venue.told == [(8, "50100", "0.0003")]
    assert venue.wait(hour(16)).told[1:] == [(16, "50200", "0.0009")]


def test_the_first_event_after_the_instant_does_not_make_its_rate(venue):
    venue.see(hour(7, 1), hour(8), "0.0001").see(hour(8, 5), hour(16), "-0.0007")
    assert venue.told == [(8, "50000", "0.0001")]


def test_a_late_event_of_the_same_instant_changes_its_price_only(venue):
    """It still names the instant that is over: nothing is due again, and the next rate is not its rate."""
    venue.see(hour(7, 1), hour(8), "0.0001").see(hour(8, 3), hour(8), "0.0005", "51000").wait(hour(16))
    assert venue.told == [(8, "50000", "0.0001"), (16, "51000", "0.0001")]


def test_instants_of_a_gap_have_what_was_known_before_it(venue):
    """Two are paid when the time comes, before the event that ends the gap and names the fourth."""
    venue.see(hour(7, 1), hour(8), "0.0001", "50000").see(hour(25), hour(32), "0.0009", "60000")
    assert venue.told == [(8, "50000", "0.0001"), (16, "50000", "0.0001"), (24, "50000", "0.0001")]
    assert venue.wait(hour(32)).told[3:] == [(32, "60000", "0.0009")]


def test_the_interval_is_learned_from_instants_that_the_venue_names():
    """Named at 8 and at 12, the rest of a gap goes on in steps of four hours."""
    venue = Venue(FundingClock(hour(7))).see(hour(7.5), hour(8)).see(hour(8.5), hour(12)).wait(hour(21))
    assert [at for at, _, _ in venue.told] == [8, 12, 16, 20]


def test_an_earlier_instant_than_expected_is_taken_from_the_venue(venue):
    venue.see(hour(7, 1), hour(8)).see(hour(8, 1), hour(9)).see(hour(9, 1), hour(10))
    assert [at for at, _, _ in venue.wait(hour(10)).told] == [8, 9, 10]


def test_a_fixed_rate_needs_only_prices():
    clock = FundingClock(hour(7), rate=D("0.0002"))
    venue = Venue(clock)
    clock.value(D(100))
    venue.wait(hour(8)).see(hour(9), hour(16), "0.0099", "200").wait(hour(16))
    assert venue.told == [(8, "100", "0.0002"), (16, "200", "0.0002")]


def test_a_fixed_interval_counts_from_midnight():
    clock = FundingClock(hour(7), 4 * HOUR_NS, D("0.0002"))
    clock.value(D(100))
    assert [at for at, _, _ in Venue(clock).wait(hour(24)).told] == [8, 12, 16, 20, 24]


def test_an_instant_without_a_known_rate_is_counted_and_not_paid(venue):
    venue.see(hour(8, 1), hour(16))
    assert (venue.told, venue.clock.unrated) == ([], 1)
    assert venue.wait(hour(16)).told == [(16, "50000", "0.0001")]


def test_a_restart_goes_on_after_the_last_instant_paid(venue):
    """What was due while nothing ran is paid with the rate and price that the log knows, once."""
    venue.see(hour(7, 1), hour(8), "0.0003", "50500").wait(hour(8))
    again = Venue(FundingClock(hour(9)))
    again.clock.resume(venue.paid[-1])
    again.wait(hour(9.5)).see(hour(17), hour(24), "0.0001", "49000")
    assert again.told == [(16, "50500", "0.0003")]
    assert again.wait(hour(24)).told[1:] == [(24, "49000", "0.0001")]


def test_a_restart_does_not_pay_the_last_instant_again():
    clock = FundingClock(hour(7))
    clock.resume(Due(hour(8), D(50000), D("0.0001")))
    venue = Venue(clock).see(hour(8, 1), hour(8)).see(hour(8, 2), hour(16))
    assert venue.told == []
    assert venue.clock.next_ns == hour(16)


@pytest.mark.parametrize(
    "fields",
    [
        {"mark": ""},
        {"mark": "nan"},
        {"mark": "0"},
        {"mark": "-5"},
        {"rate": ""},
        {"rate": "Infinity"},
        {"rate": "1"},
        {"rate": "x" * 1000},
        {"rate": "1e999999999"},
        {"rate": "-1"},
        {"mark": "1e999999999"},
        {"next_ns": hour(32)},
    ],
)
def test_an_event_that_cannot_be_true_is_counted_and_ignored(venue, fields):
    venue.see(hour(7, 1), hour(8), "0.0001", "50000")
    venue.clock.observe(event(hour(7, 2), **{"next_ns": hour(8), "rate": "0.0009", "mark": "66666", **fields}))
    assert venue.clock.ignored == 1
    assert venue.wait(hour(8)).told == [(8, "50000", "0.0001")]


def test_an_event_need_not_name_the_next_instant(venue):
    venue.see(hour(7, 1), 0, "0.0002", "50000").see(hour(9), -5, "0.0003", "50500")
    assert venue.wait(hour(16)).told == [(8, "50000", "0.0002"), (16, "50500", "0.0003")]


@pytest.mark.parametrize("interval_ns", [0, -HOUR_NS, 1, 25 * HOUR_NS])
def test_an_interval_out_of_bounds_is_refused(interval_ns):
    with pytest.raises(ValueError, match="from a minute to 24 hours"):
        FundingClock(0, interval_ns)


steps = st.lists(
    st.tuples(
        st.sampled_from(["event", "event", "wait", "late", "junk", "restart"]),
        st.integers(1, 11 * 60),
        st.integers(-99, 99),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([1, 4, 8]), steps)
def test_every_instant_is_due_once_with_what_was_known_before_it(hours, steps):
    """The settings know the interval; feed gaps, late events and restarts change nothing of that."""
    interval = hours * HOUR_NS
    now = begin = MIDNIGHT + 7 * MINUTE
    venue = Venue(FundingClock(begin, interval))
    known = None  # rate and mark as of the last event in time
    expected, unrated = [], 0

    def pass_time(until):
        nonlocal unrated
        for instant in range((now // interval + 1) * interval, until + 1, interval):
            if known is None:
                unrated += 1
            else:
                expected.append(Due(instant, known[1], known[0]))

    for kind, minutes, basis in steps:
        later = now + minutes * MINUTE
        pass_time(later)
        now = later
        venue.wait(now)
        named = (now // interval + 1) * interval
        rate, mark = D(basis).scaleb(-5), D(50_000 + basis)
        if kind == "event":
            venue.clock.observe(event(now, named, str(rate), str(mark)))
            known = (rate, mark)
        elif kind == "late" and known is not None:
            venue.clock.observe(event(now, named - interval, "0.5", str(mark)))
            known = (known[0], mark) if venue.clock.mark == mark else known
        elif kind == "junk":
            venue.clock.observe(event(now, named, "much", str(mark)))
        elif kind == "restart" and venue.paid:
            last = venue.paid[-1]
            venue.clock = FundingClock(now, interval)
            venue.clock.resume(last)
            known = (last.rate, last.mark)
            unrated = 0
    assert venue.paid == expected
    assert venue.clock.unrated == unrated
