"""The hooks: exact signature and docstring of each."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from generator.markdown import block, page, prose, table
from grinder.host.hookspecs import HOOK_API, PluginContext
from grinder.host.judging import judge
from grinder.host.signatures import SPECS

INTRO = f"""
A plugin is a module (or an object) that implements some of these hooks with `@hookimpl`, and that an entry point of
the group `grinder.plugins` names. The hook contract has a version of its own, now {HOOK_API}; a plugin states the
range it was written for in `GRINDER_API`, and one that does not fit is refused.

An implementation asks for the arguments it needs, by name, and leaves the others out. Refused when the plugin is
loaded, with plugin, hook and signature in the message: coroutines, generators, hook wrappers, `tryfirst` and
`trylast`, names of hooks or arguments that do not exist, keyword-only arguments, arguments with defaults, and type
hints that contradict the ones here.

Plugins are called in one explicit order for every hook: first the names in `gates.order`, then the rest by name.

`on_reconcile` is part of the contract, but this version compares nothing with a venue, so it is not called yet.
"""

MODULE = """
## What a plugin module has

| name | needed | what it is |
| --- | --- | --- |
| `register_settings` | yes | the hook that declares the settings class |
| `GRINDER_API` | no | range of hook versions, such as `">=1.0,<2"` |
| `REASONS` | when a gate answers with reason codes of its own | [codes](reasons.md), each with a sentence |
| `judge` | no | a gate's answer from what it recorded: see [below](#judge) |
| any other hook | no | what the plugin is for |
"""

JUDGE = """
No hook, but an attribute that the module of a gate may have, checked like one when the plugin is loaded: a plain
function of exactly these two parameters. A gate does well to answer through it:

```python
@hookimpl
def pre_order_gate(order: OrderIntent, market: MarketView, settings: SpreadSettings) -> Verdict:
    if not 0 < market.mid < inf:
        return Block("INPUT_MISSING")
    return judge({"spread_bps": (market.ask - market.bid) / market.mid * 10_000}, settings)


def judge(inputs: Mapping[str, Input], settings: SpreadSettings) -> Verdict:
    spread = inputs.get("spread_bps")
    if spread is None:
        return Block("INPUT_MISSING", inputs)
    return Allow(inputs) if spread <= settings.max_spread_bps else Block("ACME_SPREAD_WIDE", inputs)
```
"""


def build() -> str:
    """The page."""
    rows = [(f"[`{name}`](#{name})", _sentence(spec), ", ".join(f"`{a}`" for a in _arguments(spec)))
            for name, spec in SPECS.items()]  # fmt: skip
    overview = table(("hook", "what it is for", "arguments it offers"), rows)
    context = "\n".join(f"- `{field}`: `{hint}`" for field, hint in inspect.get_annotations(PluginContext).items())
    return page(
        "Hooks",
        INTRO,
        overview,
        MODULE,
        *(_section(name, spec) for name, spec in SPECS.items()),
        _section("judge", judge) + "\n\n" + JUDGE.strip("\n"),
        f"## PluginContext\n\n{prose(PluginContext.__doc__ or '')}\n\n{context}",
    )


def _section(name: str, spec: Callable[..., Any]) -> str:
    return f"## {name}\n\n{block('python', signature(spec))}\n\n{_sentence(spec)}\n\n" + "\n".join(_parts(spec))


def signature(spec: Callable[..., Any]) -> str:
    """The signature as it stands in the source, without linters' comments."""
    source = inspect.getsource(spec)
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)  # noqa: S101 - hooks are functions
    lines = source.splitlines()[node.lineno - 1 : node.body[0].lineno - 1]
    return "\n".join(re.sub(r"\s*# noqa.*", "", line) for line in lines)


def _arguments(spec: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(spec).parameters)


def _sentence(spec: Callable[..., Any]) -> str:
    return prose(spec.__doc__ or "").partition("\n\n")[0]


def _parts(spec: Callable[..., Any]) -> Iterator[str]:
    """Each labelled part of the docstring as an item of a list."""
    body = prose(spec.__doc__ or "").partition("\n\n")[2]
    for label, text in re.findall(r"^(\w+): (.*(?:\n(?!\w+: ).*)*)", body, re.MULTILINE):
        yield f"- **{label}:** " + " ".join(text.split())
