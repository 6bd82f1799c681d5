"""Brackets: the shipped tables to the last unit, look-ups at their edges, and tables out of settings."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder_exchange_paper import brackets
from grinder_exchange_paper.amounts import TableError
from grinder_exchange_paper.brackets import BINANCE, BYBIT, DEFAULT, parse

D = Decimal
BTC, ETH = BINANCE["BTCUSDT"], BINANCE["ETHUSDT"]
SHIPPED = {**BINANCE, "BYBIT": BYBIT, "DEFAULT": DEFAULT}

# The deductions that the venue itself publishes; the code computes them from caps and rates.
CUM = {
    "BTCUSDT": "0 300 1500 12000 132000 482000 2982000 14482000 26482000 41482000 121482000 421482000",
    "ETHUSDT": "0 300 1500 12000 132000 382000 2007000 9507000 17507000 27507000 80507000 280507000",
}


@pytest.mark.parametrize("symbol", CUM)
def test_the_computed_deductions_are_those_that_the_venue_publishes(symbol):
    assert [row.cum for row in BINANCE[symbol].rows] == [D(cum) for cum in CUM[symbol].split()]


def test_the_shipped_tables_have_the_venues_rows():
    assert [(row.cap, row.mmr, row.max_leverage) for row in BTC.rows[3:6]] == [
        (12_000_000, D("0.01"), 50),
        (70_000_000, D("0.02"), 25),
        (100_000_000, D("0.025"), 20),
    ]
    assert (ETH.rows[-1].cap, ETH.rows[-1].mmr, ETH.rows[-1].max_leverage) == (1_200_000_000, D("0.5"), 1)
    assert BYBIT.rows[1] == (2_600_000, D("0.0056"), 90, 1200)  # 2,000,000 x (0.0056 - 0.005)


@pytest.mark.parametrize("name", SHIPPED)
def test_maintenance_margin_does_not_jump_between_brackets(name):
    rows = SHIPPED[name].rows
    for lower, upper in itertools.pairwise(rows):
        assert lower.cap * lower.mmr - lower.cum == lower.cap * upper.mmr - upper.cum
        assert (lower.cap < upper.cap, lower.mmr < upper.mmr, lower.max_leverage > upper.max_leverage) == (True,) * 3


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_tables_pass_the_checks_of_settings(name):
    rows = [{"cap": row.cap, "mmr": row.mmr, "max_leverage": row.max_leverage} for row in SHIPPED[name].rows]
    assert parse(name, rows).rows == SHIPPED[name].rows


@pytest.mark.parametrize(
    ("notional", "maintenance", "leverage"),
    [
        ("0", "0", 150),
        ("300000", "1200", 150),  # a cap belongs to the bracket that it ends
        ("300000.01", "1200.00005", 100),
        ("1000000", "5000", 75),  # 1,000,000 x 0.0065 - 1500
        ("1800000000", "478518000", 1),
        ("2000000000", "578518000", 0),  # beyond the last bracket its rate goes on, but nobody may open it
    ],
)
def test_a_notional_finds_its_bracket(notional, maintenance, leverage):
    assert BTC.maintenance(D(notional)) == D(maintenance)
    assert BTC.max_leverage(D(notional)) == leverage


@pytest.mark.parametrize(
    ("leverage", "largest"),
    [(150, 300_000), (151, 0), (126, 300_000), (100, 800_000), (75, 3_000_000), (20, 100_000_000), (1, 1_800_000_000)],
)
def test_leverage_bounds_the_notional(leverage, largest):
    assert BTC.max_notional(leverage) == largest


def test_a_symbol_without_a_table_gets_the_default_and_settings_come_first():
    assert brackets.of("BTCUSDT") is BTC
    assert brackets.of("DOGEUSDT") is DEFAULT
    own = parse("BTCUSDT", [{"cap": 1000, "mmr": "0.01", "max_leverage": 10}])
    assert brackets.of("BTCUSDT", {"BTCUSDT": own}) is own
    assert brackets.of("ETHUSDT", {"BTCUSDT": own}) is ETH


def test_the_default_is_stricter_than_the_tables_of_the_large_symbols():
    for notional in (1, 50_000, 51_000, 999_000, 4_999_000):
        for other in (BTC, ETH, BYBIT):
            assert DEFAULT.maintenance(D(notional)) > other.maintenance(D(notional))
            assert DEFAULT.max_leverage(D(notional)) < other.max_leverage(D(notional))


def test_numbers_of_settings_are_taken_as_they_are_written():
    """A float of YAML means the text that stands in the file."""
    rows = parse(
        "X", [{"cap": 1e5, "mmr": 0.004, "max_leverage": 50}, {"cap": 200_000, "mmr": "0.1", "max_leverage": 2}]
    )
    assert [row.mmr for row in rows.rows] == [D("0.004"), D("0.1")]
    assert rows.rows[1].cum == 9600
    fee = parse("X", [{"cap": 1e5, "mmr": 0.004, "max_leverage": 50}], closing_rate=D("0.00055"))
    assert fee.maintenance(D(1000)) == D("4.55")


GOOD = {"cap": 1000, "mmr": 0.01, "max_leverage": 20}
WRONG = [
    (None, "was None; give a list of rows with cap, mmr, max_leverage"),
    ("cap", "was 'cap'; give a list"),
    ({"cap": 1}, "give a list of rows"),
    ([], "the list is empty"),
    ([7], "row 1: was 7; give columns by name"),
    ([GOOD, {"cap": 2000, "mmr": 0.02}], "row 2: max_leverage is missing"),
    ([{**GOOD, "mmrate": 1}], "row 1: 'mmrate' is no column; the columns are cap, mmr, max_leverage, cum"),
    ([{**GOOD, "cap": "a lot"}], "row 1: cap was 'a lot'; give a number"),
    ([{**GOOD, "cap": None}], "row 1: cap was None"),
    ([{**GOOD, "cap": True}], "row 1: cap was True"),
    ([{**GOOD, "mmr": "nan"}], "row 1: mmr was 'nan'"),
    ([{**GOOD, "mmr": float("inf")}], "row 1: mmr was inf"),
    ([{**GOOD, "cap": "1e999999999"}], "row 1: cap was '1e999999999'"),
    ([{**GOOD, "mmr": "1e-999999999"}], "row 1: mmr was '1e-999999999'"),
    ([{**GOOD, "cap": "9" * 5000}], "row 1: cap was '999"),
    ([{**GOOD, "cap": 10**5000}], "row 1: cap was a number that is far too long"),
    ([{**GOOD, "cap": 0}], "row 1: cap was 0; it has to be above 0"),
    ([GOOD, {**GOOD, "mmr": 0.02}], "row 2: cap was 1000; it has to be above 1000"),
    ([{**GOOD, "mmr": 0}], "row 1: mmr was 0;"),
    ([{**GOOD, "mmr": 1}], "row 1: mmr was 1;"),
    ([GOOD, {"cap": 2000, "mmr": 0.005, "max_leverage": 10}], "row 2: mmr was 0.005; .* not below 0.01"),
    ([{**GOOD, "max_leverage": 0}], "row 1: max_leverage was 0"),
    ([{**GOOD, "max_leverage": 2.5}], "row 1: max_leverage was 2.5; it has to be a whole number"),
    ([GOOD, {"cap": 2000, "mmr": 0.02, "max_leverage": 25}], "row 2: max_leverage was 25; .* from 1 to 20"),
    ([{**GOOD, "max_leverage": 100}], "row 1: with mmr 0.01, a position at max_leverage 100 is liquidated at once"),
    ([{**GOOD, "cum": 1}], "row 1: cum was 1, but .* continuous only with 0; correct it"),
    ([GOOD, {"cap": 2000, "mmr": 0.02, "max_leverage": 10, "cum": 9}], "row 2: cum was 9, .* only with 10"),
]


@pytest.mark.parametrize(("rows", "text"), WRONG)
def test_a_wrong_table_names_symbol_row_and_fault(rows, text):
    with pytest.raises(TableError, match=f"^brackets of DOGEUSDT.*{text}") as caught:
        parse("DOGEUSDT", rows)
    assert len(str(caught.value)) < 300


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["cap", "mmr", "max_leverage", "cum", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(junk)
def test_any_settings_are_a_table_or_a_named_fault(rows):
    try:
        table = parse("X", rows)
    except TableError as error:
        said = str(error)
    else:
        said = "brackets of X are sound" * all(0 < row.mmr < 1 <= row.max_leverage for row in table.rows)
    assert said.startswith("brackets of X")
