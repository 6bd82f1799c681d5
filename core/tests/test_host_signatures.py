"""Everything that is refused at registration, each with plugin, hook and signature in its message."""

from __future__ import annotations

import functools
import sys
import types
from decimal import Decimal
from typing import Annotated, Any, NoReturn

import pluggy
import pytest
from pydantic import BaseModel, ConfigDict, Field

from grinder.decisions import Allow, Block, Threshold, Verdict
from grinder.errors import PluginError
from grinder.host import hookspecs
from grinder.host.hints import contradiction, subtype
from grinder.host.hookspecs import hookimpl
from grinder.host.models import check_model, check_reasons
from grinder.host.signatures import SPECS, check_plugin, offered
from grinder.settings.plugin import GateSettings, PluginSettings, Section
from grinder.types import AccountView, Fill, MarketView, OrderIntent


class OwnSettings(GateSettings):
    """A gate's settings."""

    limit: float = Field(default=1.0, description="Limit.")


class OtherSettings(GateSettings):
    """Somebody else's settings."""


HEADER = """
from __future__ import annotations
import asyncio, functools, typing
from decimal import Decimal
from typing import Any
from grinder import *
from pydantic import Field

class Own(GateSettings):
    limit: float = Field(default=1.0, description="Limit.")

class Other(GateSettings):
    pass

@hookimpl
def register_settings() -> type[Own]:
    return Own
"""


@pytest.fixture
def manager():
    manager = pluggy.PluginManager("grinder")
    manager.add_hookspecs(hookspecs)
    return manager


@pytest.fixture
def module(monkeypatch):
    def make(source: str, header: str = HEADER) -> types.ModuleType:
        made = types.ModuleType("acme_module")
        monkeypatch.setitem(sys.modules, "acme_module", made)
        exec(header + source, made.__dict__)  # noqa: S102 - the module under test
        return made

    return make


def refusal(manager, plugin) -> str:
    with pytest.raises(PluginError) as caught:
        check_plugin(manager, "acme", plugin)
    assert caught.value.plugin == "acme"
    message = str(caught.value)
    assert message.startswith("plugin 'acme': ")
    return message


REFUSED = {
    "coroutine": (
        "@hookimpl\nasync def pre_order_gate(order): return Allow()",
        ["async hook pre_order_gate(order)", "drop the async"],
    ),
    "async generator": ("@hookimpl\nasync def on_fill(fill): yield", ["async hook on_fill(fill)"]),
    "generator": ("@hookimpl\ndef on_fill(fill): yield", ["hook on_fill(fill)", "generator"]),
    "wrapped coroutine": (
        (
            "async def judge(order): return Allow()\n"
            "@hookimpl\n@functools.wraps(judge)\ndef pre_order_gate(order): return asyncio.run(judge(order))"
        ),
        ["async hook pre_order_gate(order)"],
    ),
    "unknown hook, near": (
        "@hookimpl\ndef pre_order_gates(order): return Allow()",
        ["hook pre_order_gates(order)", "no hook of that name", "did you mean 'pre_order_gate'?"],
    ),
    "unknown hook, far": ("@hookimpl\ndef xyz(): ...", ["hook xyz()", "hooks are: health, on_fill"]),
    "unknown optional hook": (
        "@hookimpl(optionalhook=True)\ndef on_fills(fill): ...",
        ["hook on_fills(fill)", "did you mean 'on_fill'?"],
    ),
    "unknown specname": (
        "@hookimpl(specname='pre_gate')\ndef pre_order_gate(order): ...",
        ["hook pre_gate(order)", "no hook of that name"],
    ),
    "hook twice": (
        "@hookimpl\ndef on_fill(fill): ...\n@hookimpl(specname='on_fill')\ndef also(fill): ...",
        ["hook on_fill", "'also'", "keep one"],
    ),
    "unknown argument": (
        "@hookimpl\ndef pre_order_gate(order, markets): return Allow()",
        [
            "hook pre_order_gate(order, markets)",
            "unknown argument 'markets'",
            "did you mean 'market'?",
            "(order, market, account, runtime, now, settings)",
        ],
    ),
    "keyword-only": (
        "@hookimpl\ndef pre_order_gate(order, *, market): return Allow()",
        ["hook pre_order_gate(order, *, market)", "'market' is keyword-only"],
    ),
    "star args": ("@hookimpl\ndef on_fill(*args): ...", ["hook on_fill(*args)", "*args would stay empty"]),
    "star kwargs": ("@hookimpl\ndef on_fill(fill, **rest): ...", ["**rest would stay empty"]),
    "default": (
        "@hookimpl\ndef pre_order_gate(order, market={}): return Allow()",
        ["hook pre_order_gate(order, market={})", "'market' is always passed", "drop its default"],
    ),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef pre_order_gate(order):\n    return (yield)",
        ["hook pre_order_gate(order)", "wrapper is not allowed"],
    ),
    "hookwrapper": (
        "@hookimpl(hookwrapper=True)\ndef on_fill(fill):\n    yield",
        ["hook on_fill(fill)", "hookwrapper is not allowed"],
    ),
    "tryfirst": ("@hookimpl(tryfirst=True)\ndef on_fill(fill): ...", ["tryfirst is not allowed", "gates.order"]),
    "trylast": ("@hookimpl(trylast=True)\ndef on_fill(fill): ...", ["trylast is not allowed", "gates.order"]),
    "partial": (
        "def judge(limit, order): return Allow()\npre_order_gate = hookimpl(functools.partial(judge, 1))",
        ["hook pre_order_gate", "is a partial", "plain functions"],
    ),
    "callable object": (
        "class Gate:\n    def __call__(self, order): return Allow()\npre_order_gate = hookimpl(Gate())",
        ["hook pre_order_gate", "is a Gate"],
    ),
    "wrong argument hint": (
        "@hookimpl\ndef pre_order_gate(order: Fill): return Allow()",
        ["hook pre_order_gate(order: Fill)", "'order' is annotated Fill, the hook passes OrderIntent"],
    ),
    "wrong time hint": (
        "@hookimpl\ndef pre_order_gate(now: str): return Allow()",
        ["'now' is annotated str, the hook passes int"],
    ),
    "wrong result hint": (
        "@hookimpl\ndef pre_order_gate(order) -> bool: return True",
        ["result is annotated bool, the hook expects", "Allow"],
    ),
    "optional result": (
        "@hookimpl\ndef pre_order_gate(order) -> Allow | None: return None",
        ["result is annotated", "None"],
    ),
    "result of a notification": ("@hookimpl\ndef on_fill(fill) -> str: return ''", ["expects NoneType"]),
    "another gate's settings": (
        "@hookimpl\ndef pre_order_gate(settings: Other): return Allow()",
        ["'settings' is annotated Other, the hook passes Own"],
    ),
    "hint that cannot be evaluated": (
        "@hookimpl\ndef pre_order_gate(order: Missing): return Allow()",
        ["hook pre_order_gate(order: Missing)", "cannot be evaluated", "'Missing'"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_at_registration(manager, module, case):
    source, parts = REFUSED[case]
    message = refusal(manager, module(source))
    for part in parts:
        assert part in message


def test_a_marked_property_is_not_passed_over(manager):
    class Plugin:
        @property
        @hookimpl
        def pre_order_gate(self):
            raise AssertionError("a property must not be executed")

        @hookimpl
        def register_settings(self) -> type[OwnSettings]:
            return OwnSettings

    message = refusal(manager, Plugin())
    assert "hook pre_order_gate: is a property" in message


def test_a_marked_cached_property_is_not_passed_over(manager):
    class Plugin:
        @functools.cached_property
        @hookimpl
        def on_fill(self): ...

        @hookimpl
        def register_settings(self) -> type[OwnSettings]:
            return OwnSettings

    assert "is a cached_property" in refusal(manager, Plugin())


def test_a_class_instead_of_an_instance(manager):
    class Plugin:
        @hookimpl
        def register_settings(self) -> type[OwnSettings]:
            return OwnSettings

    assert "have you forgotten the ()?" in refusal(manager, Plugin)
    assert check_plugin(manager, "acme", Plugin()) is OwnSettings


SETTINGS_REFUSED = {
    "missing": ("", "hook register_settings() is missing"),
    "raises": ("@hookimpl\ndef register_settings(): 1 / 0", "hook register_settings(): raised ZeroDivisionError"),
    "exits": ("import sys\n@hookimpl\ndef register_settings(): sys.exit()", "raised SystemExit"),
    "None": ("@hookimpl\ndef register_settings(): ...", "was NoneType None, must be a subclass of PluginSettings"),
    "other class": ("@hookimpl\ndef register_settings(): return dict", "was dict, must be a subclass"),
    "instance": (
        "@hookimpl\ndef register_settings(): return PluginSettings()",
        "was PluginSettings PluginSettings(enabled=False), must be a subclass",
    ),
    "gate without gate settings": (
        "@hookimpl\ndef register_settings(): return PluginSettings\n@hookimpl\ndef pre_order_gate(order): ...",
        "was PluginSettings, must be a subclass of GateSettings",
    ),
    "argument": ("@hookimpl\ndef register_settings(order): ...", "unknown argument 'order'"),
    "coroutine": ("@hookimpl\nasync def register_settings(): ...", "async hook register_settings()"),
}


@pytest.mark.parametrize("case", SETTINGS_REFUSED)
def test_settings_must_be_declared(manager, module, case):
    source, part = SETTINGS_REFUSED[case]
    plugin = module("from grinder import *\n" + source, header="")
    assert part in refusal(manager, plugin)


ACCEPTED = {
    "no hints": "@hookimpl\ndef pre_order_gate(order, market, account, runtime, now, settings): return Allow()",
    "all hints": (
        "@hookimpl\ndef pre_order_gate(order: OrderIntent, market: MarketView, account: AccountView,"
        " runtime: RuntimeView, now: int, settings: Own) -> Verdict: return Allow()"
    ),
    "base settings": "@hookimpl\ndef pre_order_gate(settings: GateSettings) -> Allow: return Allow()",
    "part of the union": "@hookimpl\ndef pre_order_gate(order) -> Allow | Block: return Allow()",
    "any": "@hookimpl\ndef pre_order_gate(order: Any, now: object) -> Any: return Allow()",
    "wider argument": "@hookimpl\ndef pre_order_gate(now: int | str) -> Allow: return Allow()",
    "any order of arguments": "@hookimpl\ndef pre_order_gate(settings, now, order): return Allow()",
    "positional only": "@hookimpl\ndef on_fill(fill, /): ...",
    "specname": "@hookimpl(specname='on_fill')\ndef learn(fill: Fill) -> None: ...",
    "plain helper near a hook's name": "def pre_order_gatee(x): ...",
    "wraps": (
        "def logged(f):\n    @functools.wraps(f)\n    def inner(*a): return f(*a)\n    return inner\n"
        "@hookimpl\n@logged\ndef on_fill(fill: Fill, account: AccountView) -> None: ..."
    ),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(manager, module, case):
    plugin = module(ACCEPTED[case])
    assert check_plugin(manager, "acme", plugin).__name__ == "Own"
    manager.register(plugin, "acme")
    manager.check_pending()


def test_every_hook_has_a_spec_with_all_sections():
    assert set(SPECS) == {
        "pre_order_gate",
        "on_fill",
        "on_reconcile",
        "resolve_threshold",
        "register_settings",
        "on_start",
        "on_stop",
        "health",
    }
    for name, spec in SPECS.items():
        doc = spec.__doc__ or ""
        for section in ("Effect:", "When:", "Arguments:", "Return:", "Isolation:", "Version:"):
            assert section in doc, (name, section)
        for argument in offered(name):
            assert f"``{argument}``" in doc, (name, argument)


@pytest.mark.parametrize(
    ("narrow", "wide", "holds"),
    [
        (int, float, True),
        (float, int, False),
        (bool, int, True),
        (Allow, Verdict, True),
        (Verdict, Allow, False),
        (Allow | Block, Verdict, True),
        (Allow | None, Verdict, False),
        (type(None), Threshold | None, True),
        (Threshold, Threshold | None, True),
        (type[OwnSettings], type[PluginSettings], True),
        (type[PluginSettings], type[OwnSettings], False),
        (type[OwnSettings] | type[OtherSettings], type[GateSettings], True),
        (type, type[PluginSettings], False),
        (MarketView, MarketView, True),
        (MarketView, AccountView, False),
        (OrderIntent, object, True),
        (NoReturn, str, True),
        (Any, str, True),
        (str, Any, True),
        (list[int], list[str], False),
        (Decimal, float, False),
    ],
)
def test_subtypes(narrow, wide, holds):
    assert subtype(narrow, wide) is holds


def test_annotated_hints_count_as_what_they_annotate():
    def on_fill(fill: Annotated[Fill, "x"], account: AccountView) -> None: ...

    assert contradiction(on_fill, SPECS["on_fill"]) == ""


# settings models and reasons


class Nested(Section):
    """A group."""

    depth: int = Field(default=1)


class Open(BaseModel):
    """A group that takes any key."""

    model_config = ConfigDict(extra="allow", frozen=True)
    depth: int = Field(default=1, description="Depth.")


def model(**fields: tuple[Any, Any]) -> type[GateSettings]:
    namespace = {"__annotations__": {name: kind for name, (kind, _) in fields.items()}, "__module__": __name__}
    namespace |= {name: default for name, (_, default) in fields.items()}
    return type("Made", (GateSettings,), namespace)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"limit": (int, Field(default=1))}, "setting 'limit' of Made has no description"),
        ({"limit": (int, Field(default=1, description="  "))}, "setting 'limit' of Made has no description"),
        ({"group": (Nested, Nested())}, "setting 'group.depth' of Made has no description"),
        ({"group": (Open, Open())}, "Made.group must be frozen and forbid unknown keys"),
    ],
)
def test_models_must_be_documented_and_closed(fields, message):
    with pytest.raises(PluginError) as caught:
        check_model("acme", "here", model(**fields), GateSettings)
    assert message in str(caught.value)


def test_a_model_cannot_open_itself():
    class Loose(GateSettings, extra="allow"):
        """Takes any key."""

    with pytest.raises(PluginError, match="Loose must be frozen and forbid unknown keys"):
        check_model("acme", "here", Loose, GateSettings)


def test_a_threshold_must_be_a_field():
    class Lost(GateSettings):
        """Names what is not there."""

        THRESHOLD = "limt"
        limit: int = Field(default=1, description="Limit.")

    with pytest.raises(PluginError, match="THRESHOLD names 'limt'"):
        check_model("acme", "here", Lost, GateSettings)


@pytest.mark.parametrize("declared", [["A"], "A", {"A": 1}, {1: "A"}])
def test_reasons_must_be_a_mapping_of_texts(declared):
    with pytest.raises(PluginError, match="REASONS must map"):
        check_reasons("acme", declared)
    assert check_reasons("acme", None) == {}
