"""The kit for tests: every name of ``grinder.testing``, and the fixtures that pytest is given."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from generator.markdown import code, first_line, page, table
from grinder import testing
from grinder.testing import fixtures

INTRO = """
`from grinder.testing import …` in tests of gates, strategies, exchanges and other plugins; what is shipped never
imports it. Generated input and the [conformance cases](conformance.md) need `pip install 'grinder-core[testing]'`. How
they are used: [test a gate](../how-to/test-a-gate.md).
"""

FIXTURES = """
## Fixtures

pytest finds them by itself where `grinder-core` is installed. They import nothing before one of them is used.
"""


def build() -> str:
    """The page."""
    names = table(("name", "what", "meaning"), ((code(name), *_row(name)) for name in testing.__all__))
    calls = [name for name in testing.__all__ if inspect.isfunction(getattr(testing, name))]
    signatures = "\n\n".join(_signature(name) for name in calls)
    return page(
        "Test kit", INTRO, names, FIXTURES, table(("fixture", "value"), _fixtures()), "## Signatures", signatures
    )


def _row(name: str) -> tuple[str, str]:
    value = getattr(testing, name)
    if inspect.isclass(value):
        return "class", first_line(value.__doc__)
    if inspect.isfunction(value):
        return "function", first_line(value.__doc__)
    return "value", _VALUES[name]


_VALUES = {
    "CASES": "The [conformance cases](conformance.md), in order.",
    "NOW": "The time of every builder unless another is given: 2023-11-14T22:13:20Z, in ns.",
}


def _signature(name: str) -> str:
    """The call as it is written, without types: defaults say what to expect."""
    parameters = []
    star = False
    for each in inspect.signature(getattr(testing, name)).parameters.values():
        if each.kind is each.KEYWORD_ONLY and not star:
            star = True
            parameters.append("*")
        default = "" if each.default is each.empty else f"={_default(each.default)}"
        parameters.append(str(each.replace(annotation=each.empty, default=each.empty)) + default)
    return f"```text\n{name}({', '.join(parameters)})\n```"


def _default(value: Any) -> str:
    if value == testing.NOW:
        return "NOW"
    if hasattr(value, "name") and hasattr(type(value), "__members__"):
        return f"{type(value).__name__}.{value.name}"
    return repr(value)


def _fixtures() -> Iterator[tuple[str, str]]:
    for name, value in sorted(vars(fixtures).items()):
        if type(value).__name__ == "FixtureFunctionDefinition":
            yield code(name), first_line(value.__doc__)
