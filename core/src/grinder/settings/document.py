"""YAML files, read defensively: plain mappings, lists and scalars, every value with its line.

Refused with file and line: duplicate keys, anchors and aliases, tags, several documents, deep nesting, anything
over a mebibyte. Only ``true`` and ``false`` are booleans, only plain numbers are numbers, so that a symbol ``NO``
or a time ``12:30`` stays what it looks like. In strings ``${VAR}`` and ``${VAR:-default}`` are replaced from the
environment, and ``$${`` stands for a literal ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from grinder.errors import ConfigError
from grinder.settings.origin import Kind, Leaf, Origin, Text, Tree, plain

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<otherwise>:-[^}]*)?\}|\$\{")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}


class _Loader(yaml.SafeLoader):
    """Composes nodes of one document, without what configuration does not need."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _error("anchors and aliases are not supported; write the value out", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _error("YAML tags are not allowed", event.start_mark)
        if self.depth >= MAX_DEPTH:
            raise _error(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _error(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def compose(text: str, where: str) -> yaml.Node | None:
    """Parse one YAML document into nodes.

    Raises:
        ConfigError: it is broken, or uses what is refused; says ``where`` and the line, never quotes the text.
    """
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{where}{line}: {error.problem or error.context or 'broken YAML'}") from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            f"{where}:{text.count(chr(10), 0, error.position) + 1}: a character that YAML does not allow"
        ) from None
    except (ValueError, OverflowError):
        raise ConfigError(f"{where}: an escape in a quoted string stands for no character") from None
    finally:
        if loader is not None:
            loader.dispose()


def read(path: Path, kind: Kind, name: str, environ: Mapping[str, str]) -> Tree:
    """Read a configuration file.

    Args:
        path: the file.
        kind: what its values' origins are called.
        name: how messages and origins name the file.
        environ: where ``${VAR}`` is looked up.

    Raises:
        ConfigError: the file is missing, unreadable, too large, not UTF-8, broken, or not a mapping.
    """
    text = _text_of(path, name)
    node = compose(text, name)
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}:{_line(node)}: the top level must be a mapping such as `strategy: grid`")
    return _Converter(kind, name, environ).tree(node)


def _text_of(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{name}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES} bytes; this is no configuration file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: not UTF-8") from None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def flow(text: str, where: str) -> Any:
    """A list or mapping written in one line, as in ``[a, b]``; every scalar in it is a ``Text``.

    Raises:
        ConfigError: as ``compose``.
    """
    return _flow(compose(text, where))


def _flow(node: yaml.Node | None) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_flow(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _flow(value) for key, value in node.value}
    return Text(str(node.value) if node else "")


class _Converter:
    """Turns nodes into a tree of values with origins."""

    def __init__(self, kind: Kind, name: str, environ: Mapping[str, str]) -> None:
        self._kind = kind
        self._name = name
        self._environ = environ

    def tree(self, node: yaml.MappingNode) -> Tree:
        tree: Tree = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{self._name}:{line}: a key must be a word")
            key = self._string(key_node)
            if key in lines:
                raise ConfigError(f"{self._name}:{line}: key {key!r} is already set in line {lines[key]}")
            lines[key] = line
            if isinstance(value_node, yaml.MappingNode):
                tree[key] = self.tree(value_node)
            else:
                tree[key] = Leaf(self._value(value_node), Origin(self._kind, self._name, line))
        return tree

    def _value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return plain(self.tree(node))
        text = self._string(node)
        plain_scalar = isinstance(node, yaml.ScalarNode) and node.style is None
        typed = _scalar(text) if plain_scalar else text
        return self._substituted(typed, _line(node)) if isinstance(typed, str) else typed

    def _string(self, node: yaml.Node) -> str:
        text = str(node.value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ConfigError(f"{self._name}:{_line(node)}: an escape stands for half a character")
        return text

    def _substituted(self, text: str, line: int) -> str | Text:
        used: list[str] = []

        def replace(match: re.Match[str]) -> str:
            name, otherwise = match["name"], match["otherwise"]
            if match[0] == "$${":
                return "${"
            if name is None:
                raise ConfigError(f"{self._name}:{line}: write ${{VARIABLE}} or ${{VARIABLE:-default}}")
            used.append(name)
            found = self._environ.get(name)
            if otherwise is not None:
                return found or otherwise[2:]
            if found is None:
                raise ConfigError(
                    f"{self._name}:{line}: variable {name} is not set; set it or write ${{{name}:-default}}"
                )
            return found

        replaced = _REFERENCE.sub(replace, text)
        return Text(replaced, tuple(used)) if used else replaced


def _scalar(text: str) -> Any:
    """A plain scalar as boolean, null or number if it is one, else the text itself."""
    word = text.lower()
    if word in _WORDS:
        return _WORDS[word]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(word.replace(".inf", "inf").replace(".nan", "nan"))
    return text
