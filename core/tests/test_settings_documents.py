from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.errors import ConfigError
from grinder.settings import document
from grinder.settings.origin import Text, Tree, plain


def load(tmp_path: Path, text: str | bytes, **environ: str) -> Tree:
    file = tmp_path / "app.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return document.read(file, "file", "app.yml", environ)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' is already set in line 1"),
        ("g:\n  a: 1\n  a: 2\n", 3, "already set in line 2"),
        ("- a\n- b\n", 1, "top level must be a mapping"),
        ("just a sentence\n", 1, "top level must be a mapping"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "tags"),
        ("a: 1\nb: !secret x\n", 2, "tags"),
        ("a: &x [1]\nb: *x\n", 1, "anchors"),
        ("b: *x\n", 1, "aliases"),
        ("a: 1\n--- \nb: 2\n", 2, "but found another document"),
        ("a: 1\n  b: 2\n", 2, "not allowed here"),
        ("a: [1, 2\n", 2, "expected ',' or ']'"),
        ("a: 'open\n", 2, "end of stream"),
        ("a:\n\t- 1\n", 2, "cannot start any token"),
        ("? [a, b]\n: 1\n", 1, "a key must be a word"),
        ("a: x\x07y\n", 1, "character that YAML does not allow"),
        ("a: 1\nb: ${NOT_SET}\n", 2, "variable NOT_SET is not set"),
        ("a: 1\nb: ${}\n", 2, "write ${VARIABLE}"),
        ("a: ${OPEN\n", 1, "write ${VARIABLE}"),
        ("a:\n  - x\n  - ${NOT_SET}\n", 3, "NOT_SET"),
        ('a: "\\ud800"\n', 1, "half a character"),
        (b"a: 1\nb: \xff\xfe\n", 2, "UTF-8"),
        ("a: " + "[" * 1000, 1, "nested deeper"),
        ("".join(f"{' ' * depth}k:\n" for depth in range(60)), 32, "nested deeper"),
    ],
)
def test_bad_yaml_is_refused_with_file_and_line(tmp_path: Path, text: str | bytes, line: int, what: str):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert str(error.value).startswith(f"app.yml:{line}: ")
    assert what in str(error.value)
    assert "\n" not in str(error.value)


def test_an_impossible_escape_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"app\.yml: .*escape"):
        load(tmp_path, 'a: "\\UFFFFFFFF"\n')


def test_a_bomb_of_aliases_is_refused_before_it_goes_off(tmp_path: Path):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    with pytest.raises(ConfigError, match="anchors and aliases"):
        load(tmp_path, bomb)


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(ConfigError, match="no such file"):
        document.read(tmp_path / "missing.yml", "file", "missing.yml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        document.read(tmp_path, "file", "folder", {})
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        load(tmp_path, b"#" * (document.MAX_BYTES + 1))
    assert load(tmp_path, b"#" * document.MAX_BYTES) == {}
    assert load(tmp_path, "") == {}
    assert load(tmp_path, "\ufeffa: 1\n") == load(tmp_path, "a: 1\n")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("10", 10),
        ("-3", -3),
        ("0.10", 0.10),
        ("1e3", 1000.0),
        ("'10'", "10"),
        ('"true"', "true"),
        ("NO", "NO"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-01-02", "2026-01-02"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("[BTCUSDT, 1, true]", ["BTCUSDT", 1, True]),
        ("{b: [c], d: 1}", {"b": ["c"], "d": 1}),
        ("[{b: 1}]", [{"b": 1}]),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_values_are_what_they_look_like(tmp_path: Path, written: str, meant: object):
    assert plain(load(tmp_path, f"a: {written}\n")) == {"a": meant}


@pytest.mark.parametrize(
    ("written", "meant", "used"),
    [
        ("${MODE:-paper}", "paper", ("MODE",)),
        ("${SET:-paper}", "real", ("SET",)),
        ("${SET}", "real", ("SET",)),
        ("${EMPTY:-paper}", "paper", ("EMPTY",)),
        ("${EMPTY}", "", ("EMPTY",)),
        ("${MODE:-}", "", ("MODE",)),
        ("'${SET}'", "real", ("SET",)),
        ("a-${SET}-${MODE:-b}", "a-real-b", ("SET", "MODE")),
    ],
)
def test_variables_are_substituted(tmp_path: Path, written: str, meant: str, used: tuple[str, ...]):
    assert plain(load(tmp_path, f"a: {written}\n", SET="real", EMPTY="")) == {"a": Text(meant, used)}


def test_a_dollar_can_be_written(tmp_path: Path):
    tree = load(tmp_path, "a: $${SET}\nb: $SET\nc: 5$\n${SET}: 1\n", SET="real")
    assert plain(tree) == {"a": "${SET}", "b": "$SET", "c": "5$", "${SET}": 1}


def test_substituted_text_is_not_read_as_yaml_again(tmp_path: Path):
    hostile = "x\nplugins: {evil: {enabled: true}}\n${SECOND}"
    tree = load(tmp_path, "a: ${HOSTILE}\n", HOSTILE=hostile, SECOND="no")
    assert plain(tree) == {"a": Text(hostile, ("HOSTILE",))}


SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text("abc ${}:#-'\"\\é", max_size=8)
KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_what_is_written_as_json_is_read_back(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]):
    import json

    written = json.dumps(data).replace("${", "$${")
    assert plain(load(tmp_path_factory.getbasetemp(), written)) == data


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text("abc:-?[]{}&*!|>'\"%@`#,\t\n ${}", max_size=60))
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str | bytes):
    refusal = ""
    try:
        load(tmp_path_factory.getbasetemp(), text)
    except ConfigError as error:
        refusal = str(error)
    assert not refusal or re.match(r"app\.yml(:\d+)?: ", refusal)
