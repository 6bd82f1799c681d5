"""The examples of the documentation give what they say."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from grinder_exchange_paper.brackets import DEFAULT

HERE = Path(__file__).resolve()
PAGES = [parent / name for parent in HERE.parents for name in ("MONEY.md", "README.md") if parent.name == "paper"]


@pytest.fixture(scope="module")
def page():
    """The page with the examples; a wheel's tests run without it."""
    for path in PAGES:
        if path.exists() and "liquidation_price" in (text := path.read_text()):
            return text
    pytest.skip("no exchanges/paper/MONEY.md or README.md above the tests")


def test_the_examples_of_the_page(page):
    test = doctest.DocTestParser().get_doctest(page.replace("```", ""), {}, "MONEY.md", None, 0)
    assert len(test.examples) > 10
    assert doctest.DocTestRunner().run(test) == (0, len(test.examples))


def test_the_table_of_the_default_brackets(page):
    for row in DEFAULT.rows:
        assert f"| {row.cap:,.0f} | {row.mmr} | {row.max_leverage} |" in page
