"""What foreign code raises and says is caught, whatever it is, and told in one short line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grinder.errors import PluginError
from grinder.host.foreign import CrashError, attempt, describe, line, refusing


class Unreadable(BaseException):
    def __str__(self) -> str:
        raise SystemExit


def throw(error: BaseException) -> None:
    raise error


@given(st.text(st.characters(), max_size=700), st.integers(10, 400))
def test_a_line_is_printable_and_no_longer_than_asked(text, shown):
    said = line(text, shown)
    assert said.isprintable()
    assert len(said) <= shown
    assert said == text or not text.isprintable() or len(text) > shown


@given(st.text(st.characters(), max_size=700))
def test_what_an_exception_says_is_one_line(text):
    said = describe(ValueError(text))
    assert said.startswith("ValueError: ")
    assert said.isprintable()
    assert len(said) <= 300


@pytest.mark.parametrize(
    "error", [Unreadable(), GeneratorExit(), SystemExit(3), Exception("x" * 10_000_000)], ids=range(4)
)
def test_whatever_is_raised_is_an_answer(error):
    with pytest.raises(CrashError) as caught:
        attempt(throw, error)
    assert caught.value.__cause__ is error
    with (
        pytest.raises(PluginError, match="plugin 'acme': reading it raised") as refused,
        refusing("acme", "reading it"),
    ):
        throw(error)
    assert len(str(refused.value)) < 400


def test_a_refusal_stays_what_it_is_and_the_operator_gets_through():
    with pytest.raises(PluginError, match=r"^plugin 'other': no$"), refusing("acme", "reading it"):
        raise PluginError("other", "no")
    for call in (lambda: attempt(throw, KeyboardInterrupt()), lambda: describe(Interrupting())):
        with pytest.raises(KeyboardInterrupt), refusing("acme", "reading it"):
            call()


class Interrupting(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise KeyboardInterrupt
