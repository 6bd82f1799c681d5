"""``judge`` of a gate: checked when the plugin is registered, each refusal with plugin, name and signature."""

from __future__ import annotations

import pytest

from grinder.errors import PluginError
from grinder.host.discovery import PLUGINS, discover
from grinder.host.manager import Host
from grinder.reasons import ReasonRegistry

HEADER = """
from __future__ import annotations
import functools
from collections.abc import Mapping
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

@hookimpl
def pre_order_gate(settings: Own) -> Verdict:
    return Allow()
"""


@pytest.fixture
def host(tmp_path):
    def load(source: str, header: str = HEADER) -> Host:
        path = tmp_path / "some_gate.py"
        path.write_text(header + source)
        path.chmod(0o600)
        records = [record for record in discover(PLUGINS, tmp_path) if record.name == "some_gate"]
        host = Host.load(records, {"some_gate"}, reasons=ReasonRegistry())
        host.bind({name: model() for name, model in host.models().items()})
        return host

    return load


@pytest.mark.parametrize(
    "source",
    [
        "def judge(inputs: Mapping[str, Input], settings: Own) -> Verdict: return Allow(inputs)",
        "def judge(inputs, settings): return Allow(inputs)",
        "def judge(inputs: Mapping[str, Any], settings: GateSettings) -> Allow | Block: return Allow(inputs)",
        "def judge(inputs: Mapping[str, object], settings: object) -> Allow: return Allow(inputs)",
        "def judge(inputs: Mapping, settings: Own) -> Any: return Allow(inputs)",
    ],
)
def test_a_plain_function_of_inputs_and_settings_is_there_for_the_asking(host, source):
    loaded = host(source)
    (gate,) = loaded.gates()
    assert gate.judge is not None
    assert gate.judge is loaded.judge("some_gate")
    assert type(gate.judge({}, gate.settings)).__name__ == "Allow"


def test_none_is_offered_where_none_is_declared(host):
    (gate,) = host("").gates()
    assert gate.judge is None
    assert host("judge = None").judge("some_gate") is None


def test_a_method_of_an_object_may_judge(host):
    source = "class Plugin:\n    def judge(self, inputs, settings): return Allow()\njudge = Plugin().judge"
    assert host(source).judge("some_gate") is not None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("async def judge(inputs, settings): ...", "async judge(inputs, settings): hooks are synchronous"),
        ("def judge(inputs, settings): yield 1", "judge(inputs, settings): is a generator"),
        ("def judge(inputs): ...", "judge(inputs): its parameters are (inputs); it must be judge(inputs, settings)"),
        ("def judge(settings, inputs): ...", "judge(settings, inputs): its parameters are (settings, inputs)"),
        ("def judge(order, settings): ...", "its parameters are (order, settings)"),
        ("def judge(inputs, settings, now): ...", "its parameters are (inputs, settings, now)"),
        ("def judge(inputs, settings=None): ...", "parameter 'settings' is always passed; drop its default"),
        ("def judge(inputs, *, settings): ...", "parameter 'settings' is keyword-only"),
        ("def judge(*inputs): ...", "*inputs would stay empty"),
        ("class judge: ...", "judge: was a class, must be a plain function judge(inputs, settings)"),
        ("judge = 7", "judge: was int, must be a plain function"),
        ("judge = functools.partial(lambda inputs, settings: Allow())", "judge: was partial, must be a plain function"),
        (
            "def judge(inputs: dict[str, float], settings: Own) -> Verdict: ...",
            "judge(inputs: dict[str, float], settings: Own) -> Verdict: argument 'inputs' is annotated dict",
        ),
        (
            "def judge(inputs: Mapping[str, float], settings: Own) -> Verdict: ...",
            "grinder passes collections.abc.Mapping",
        ),
        ("def judge(inputs: Mapping[str, Input], settings: Other) -> Verdict: ...", "argument 'settings' is annotated"),
        ("def judge(inputs, settings) -> Verdict | None: ...", "its result is annotated"),
        ("def judge(inputs: Nowhere, settings): ...", "its type hints cannot be evaluated"),
    ],
)
def test_anything_else_is_refused_with_plugin_name_and_signature(host, source, said):
    with pytest.raises(PluginError) as refused:
        host(source)
    assert refused.value.plugin == "some_gate"
    assert "judge" in str(refused.value)
    assert said in str(refused.value)


def test_what_is_called_judge_in_a_plugin_that_is_no_gate_is_its_own_business(host):
    source = "@hookimpl\ndef register_settings() -> type[PluginSettings]: return PluginSettings\njudge = 7"
    assert host(source, "from grinder import *\n").judge("some_gate") is None
