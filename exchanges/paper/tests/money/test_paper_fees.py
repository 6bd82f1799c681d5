"""Fees: amounts to the last digit, tiers by the volume of 30 days, and the fee of a liquidation."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder_exchange_paper import fees
from grinder_exchange_paper.amounts import TableError
from grinder_exchange_paper.fees import DAY_NS, DAYS, Schedule, Tier, parse

D = Decimal
FIRST = 20_000  # a day, counted from 1970
VIP = parse(
    [
        {"volume_from": 0, "maker": "0.0002", "taker": "0.0005"},
        {"volume_from": 15_000_000, "maker": "0.00016", "taker": "0.0004"},
        {"volume_from": 100_000_000, "maker": "-0.00005", "taker": "0.00025"},
    ]
)


@pytest.mark.parametrize(
    ("price", "qty", "rate", "fee"),
    [
        ("50000", "1", "0.0002", "10"),  # maker
        ("60961.7", "0.013", "0.0005", "0.39625105"),  # 792.5021 x 0.0005 = 0.396251050
        ("50000", "1", "-0.00005", "-2.5"),  # a rebate
        ("0.00003", "0.5", "0.0005", "0.00000001"),  # 0.0000000075 is rounded up
        ("0.00001", "1", "0.0005", "0.00000001"),  # 0.000000005: half up
        ("0.00001", "1", "-0.0005", "-0.00000001"),  # half up is away from zero
        ("0.00001", "0.9", "0.0005", "0"),  # 0.0000000045
        ("60961.7", "0.001", "0.00055", "0.03352894"),  # 0.033528935: half up
    ],
)
def test_a_fee_is_rounded_half_up_at_8_decimals(price, qty, rate, fee):
    amount = fees.fee(D(price), D(qty), D(rate))
    assert amount == D(fee)
    assert amount.as_tuple().exponent == -8


@pytest.mark.parametrize(
    ("notional", "left", "fee"),
    [
        ("45180", "1000", "564.75"),  # 45180 x 0.0125
        ("45180", "180.722891565", "180.72289156"),  # no more than what is left, and no fraction beyond it
        ("45180", "0", "0"),
        ("45180", "-3", "0"),
    ],
)
def test_the_clearance_fee_takes_no_more_than_is_left(notional, left, fee):
    assert fees.clearance(D(notional), D(left)) == D(fee)


def at(day, hour=0):
    return (FIRST + day) * DAY_NS + hour * DAY_NS // 24


def test_a_tier_begins_on_the_day_after_its_volume_was_reached():
    """14,999,999 + 1 on day 0 and day 1: the second tier holds on day 2, and to the end of day 30.

    On day 31 the 30 days before are days 1 to 30, which hold 1.
    """
    schedule = Schedule(VIP)
    schedule.add(at(0, 1), D(14_999_999))
    assert schedule.rate(at(0, 23), maker=True) == D("0.0002")
    assert schedule.rate(at(1), maker=True) == D("0.0002")
    schedule.add(at(1, 2), D(1))
    assert schedule.rate(at(1, 23), maker=False) == D("0.0005")
    assert schedule.rate(at(2), maker=False) == D("0.0004")
    assert schedule.rate(at(2, 23), maker=True) == D("0.00016")
    assert schedule.rate(at(30, 23), maker=True) == D("0.00016")
    assert schedule.rate(at(31), maker=True) == D("0.0002")
    assert schedule.volume == 1


def test_volume_of_today_does_not_count_however_late_the_rate_is_asked_for():
    schedule = Schedule(VIP)
    schedule.add(at(0), D(10**9))
    assert schedule.rate(at(0, 5), maker=True) == D("0.0002")
    assert schedule.volume == 0


def test_days_that_no_longer_count_are_forgotten():
    schedule = Schedule(VIP)
    for day in range(100):
        schedule.add(at(day), D(1))
    assert len(schedule._days) == DAYS + 1
    schedule.rate(at(100), maker=True)
    assert schedule.volume == DAYS


def test_a_rebate_tier():
    schedule = Schedule(VIP)
    schedule.add(at(0), D(10**9))
    assert schedule.rate(at(1), maker=True) == D("-0.00005")
    assert fees.fee(D(50000), D("0.01"), schedule.rate(at(1), maker=True)) == D("-0.025")


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 12 * 24), st.integers(0, 60_000_000)), max_size=60))
def test_the_tier_is_that_of_all_fills_of_the_30_days_before(fills):
    """The same as adding up every fill; what is remembered stays small."""
    schedule = Schedule(VIP)
    hours, seen = 0, []
    for step, volume in fills:
        hours += step
        now = at(0, hours)
        today = now // DAY_NS
        expected = sum(amount for day, amount in seen if today - DAYS <= day < today)
        tier = max((tier for tier in VIP if tier.volume_from <= expected), key=lambda tier: tier.volume_from)
        assert (schedule.rate(now, maker=True), schedule.rate(now, maker=False)) == (tier.maker, tier.taker)
        assert schedule.volume == expected
        schedule.add(now, D(volume))
        seen.append((today, volume))
        assert len(schedule._days) <= DAYS + 1


def test_time_that_goes_back_changes_nothing():
    schedule = Schedule(VIP)
    schedule.add(at(0), D(10**9))
    schedule.rate(at(1), maker=True)
    schedule.add(at(0), D(5))
    assert schedule.rate(at(0), maker=True) == D("-0.00005")
    assert schedule.rate(at(2), maker=True) == D("-0.00005")
    assert schedule.volume == 10**9 + 5


ROW = {"volume_from": 0, "maker": 0.0002, "taker": 0.0005}
WRONG = [
    (7, "was 7; give a list of rows with volume_from, maker, taker"),
    ([], "empty"),
    ([{"volume_from": 0, "maker": 0}], "row 1: taker is missing"),
    ([{**ROW, "maker": "free"}], "row 1: maker was 'free'"),
    ([{**ROW, "volume_from": 5}], "row 1: volume_from was 5; the first tier is from volume 0"),
    ([ROW, ROW], "row 2: volume_from was 0; it has to be above 0"),
    ([ROW, {**ROW, "volume_from": 9, "taker": 5}], "row 2: maker 0.0002 and taker 5 have to be fractions"),
    ([{**ROW, "maker": -0.0006}], "row 1: the maker rebate -0.0006 is larger than the taker fee 0.0005"),
]


@pytest.mark.parametrize(("rows", "text"), WRONG)
def test_wrong_tiers_name_row_and_fault(rows, text):
    with pytest.raises(TableError, match=f"^fee_tiers.*{text}"):
        parse(rows)


def test_tiers_are_taken_as_they_are_written():
    assert parse([ROW]) == (Tier(D(0), D("0.0002"), D("0.0005")),)
