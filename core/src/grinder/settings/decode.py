"""Turns untyped values into what the model's fields expect; the model itself then validates them.

Only text needs it (variables, secret files, the command line, ``${VAR}``): a field decides whether ``1,2`` is a
list, ``on`` a boolean, or either just a string. Values that YAML has typed already pass through.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from grinder.errors import ConfigError
from grinder.settings.document import flow
from grinder.settings.origin import Leaf, Origin, Text, Tree

TRUE: Final = frozenset(("1", "true", "yes", "on"))
FALSE: Final = frozenset(("0", "false", "no", "off", ""))
BOOLEAN: Final = "must be one of 1 true yes on, or 0 false no off"

_SECRET_TYPES: Final = (SecretStr, SecretBytes, Secret)
_SECRET_NAME: Final = re.compile(r"secret|password|passwd|passphrase|token|api_?key|private_?key", re.IGNORECASE)


def boolean(text: str) -> bool | None:
    """The boolean that a text stands for, whatever its case; None if it stands for none."""
    word = text.strip().lower()
    return True if word in TRUE else False if word in FALSE else None


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model under the keys that stand for them in settings."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def group_of(annotation: Any) -> type[BaseModel] | None:
    """The model, where a field is a group of settings."""
    bare, _ = _bare(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The keys of a model, groups resolved: ``gates.order`` and so on."""
    for key, field in fields(model).items():
        nested = group_of(field.annotation)
        if nested is not None and nested.model_fields:
            yield from keys_of(nested, f"{prefix}{key}.")
        else:
            yield prefix + key


def is_secret(annotation: Any) -> bool:
    """Whether a field holds something that is never shown."""
    return _hides(annotation) or any(is_secret(argument) for argument in get_args(annotation))


def _hides(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, _SECRET_TYPES)


def looks_secret(name: str) -> bool:
    """Whether the name of a key or variable says that its value is a secret."""
    return _SECRET_NAME.search(name) is not None


class Decoder:
    """Decodes one layer.

    Attributes:
        problems: what could not be decoded, in sentences that never quote a value.
        secrets: the secrets that were met, to be kept out of messages.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        self._lenient = lenient
        self.problems: list[str] = []
        self.secrets: set[str] = set()

    def group(self, tree: Tree, model: type[BaseModel], path: tuple[str, ...] = ()) -> dict[str, Any]:
        """The values of a group as keyword arguments of its model; unknown keys stay, for the model to refuse."""
        known = fields(model)
        values: dict[str, Any] = {}
        for key, child in tree.items():
            field = known.get(key)
            here = (*path, key)
            if field is None:
                if not (self._lenient and len(path) == 1):
                    values[key] = _untyped(child)
                continue
            nested = group_of(field.annotation)
            if isinstance(child, dict):
                values[key] = (
                    self.group(child, nested, here) if nested else self._mapping(child, field.annotation, here)
                )
            elif nested is None:
                self._keep(values, key, child, field.annotation, here)
            elif isinstance(child.value, Text):
                self._problem(child.origin, here, "is a group of settings; set the keys in it one by one")
            elif child.value is not None:  # an empty group in YAML says nothing
                values[key] = child.value
        return values

    def _mapping(self, tree: Tree, annotation: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """A field that is itself a mapping, such as one value per symbol."""
        bare, _ = _bare(annotation)
        item = (get_args(bare) or (Any, Any))[-1]
        values: dict[str, Any] = {}
        for key, child in tree.items():
            nested = group_of(item)
            if isinstance(child, dict):
                here = (*path, key)
                values[key] = self.group(child, nested, here) if nested else self._mapping(child, item, here)
            elif child.origin.kind == "environment" and isinstance(child.value, Text):
                self._problem(child.origin, path, "is a mapping; set all of it in one value such as {KEY: value}")
            else:
                self._keep(values, key, child, item, (*path, key))
        return values

    def _keep(self, values: dict[str, Any], key: str, leaf: Leaf, annotation: Any, path: tuple[str, ...]) -> None:
        secret = is_secret(annotation)
        if problem := self._forbidden(leaf, path, secret):
            self._problem(leaf.origin, path, problem)
            return
        try:
            value = self._value(leaf.value, annotation, str(leaf.origin))
        except ConfigError as error:
            self._problem(leaf.origin, path, str(error))
            return
        if secret:
            self.secrets.update(_texts(value))
        values[key] = value

    def _forbidden(self, leaf: Leaf, path: tuple[str, ...], secret: bool) -> str:
        """Why a secret must not come from there, or a value must not contain a secret; empty if neither."""
        if secret and leaf.origin.kind == "command line":
            return "is a secret: others can read the command line; use the environment or a secrets directory"
        owner = f"{path[1].upper()}_" if len(path) > 2 else ""
        for variable in _variables(leaf.value):
            if secret and not (owner and variable.startswith(owner)):
                allowed = f"variables named {owner}*" if owner else "no variable"
                return f"is a secret, and ${{{variable}}} is not allowed there: {allowed} may be used"
            if not secret and looks_secret(variable):
                return f"would show the secret ${{{variable}}}: it is no secret field"
        return ""

    def _value(self, value: Any, annotation: Any, where: str) -> Any:
        bare, optional = _bare(annotation)
        if isinstance(value, Text):
            return _from_text(value.value, bare, optional, where)
        if isinstance(value, list):
            items = _items(bare, len(value))
            return [self._value(item, kind, where) for item, kind in zip(value, items, strict=True)]
        if isinstance(value, dict):
            return {key: self._value(item, Any, where) for key, item in value.items()}
        return value

    def _problem(self, origin: Origin, path: tuple[str, ...], problem: str) -> None:
        key = ".".join(path)
        self.problems.append(f"{origin}: {problem}" if origin.name == key else f"{origin}: {key}: {problem}")


def _untyped(child: Leaf | Tree) -> Any:
    """A value that no field expects, for the model to refuse by its key or to keep unseen."""
    if isinstance(child, dict):
        return {key: _untyped(grandchild) for key, grandchild in child.items()}
    if isinstance(child.value, Text):
        word = boolean(child.value.value)
        return child.value.value if word is None else word
    return child.value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in _inside(value):
        yield from _texts(item)


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, Text):
        yield from value.variables
    for item in _inside(value):
        yield from _variables(item)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _bare(annotation: Any) -> tuple[Any, bool]:
    """The annotation without ``Annotated`` and ``None``, and whether it admits None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, types.UnionType}:
        members = [member for member in get_args(annotation) if member is not type(None)]
        optional = len(members) < len(get_args(annotation))
        if len(members) == 1:
            return _bare(members[0])[0], optional
        return annotation, optional
    return annotation, False


def _items(annotation: Any, count: int) -> list[Any]:
    """The annotation of each of ``count`` items of a list, tuple or set."""
    arguments = get_args(annotation)
    kind = get_origin(annotation)
    if kind is tuple and arguments and arguments[-1] is not Ellipsis and len(arguments) == count:
        return list(arguments)
    return [arguments[0] if arguments and kind is not dict else Any] * count


def _from_text(text: str, annotation: Any, optional: bool, where: str) -> Any:
    """What a text says to a field of some type.

    Raises:
        ConfigError: it says nothing to such a field; the message does not quote it.
    """
    if _hides(annotation):
        return None if optional and not text else text
    if optional and text.strip().lower() in {"", "null", "~"}:
        return None
    if annotation is bool:
        word = boolean(text)
        if word is None:
            raise ConfigError(BOOLEAN)
        return word
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, (list, tuple, AbstractSet)):
        return _list(text, annotation, where)
    if isinstance(kind, type) and issubclass(kind, Mapping):
        value = flow(text, where) if text.lstrip().startswith("{") else None
        if not isinstance(value, dict):
            raise ConfigError("must be a mapping such as {KEY: value}")
        item = (get_args(annotation) or (Any, Any))[-1]
        return {key: _nested_text(child, item, where) for key, child in value.items()}
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def _list(text: str, annotation: Any, where: str) -> list[Any]:
    if text.lstrip().startswith("["):
        value = flow(text, where)
        if not isinstance(value, list):
            raise ConfigError("must be a list such as [a, b] or a,b")
    else:
        value = [Text(part.strip()) for part in text.split(",") if part.strip()]
    kinds = _items(annotation, len(value))
    return [_nested_text(item, kind, where) for item, kind in zip(value, kinds, strict=True)]


def _nested_text(value: Any, annotation: Any, where: str) -> Any:
    bare, optional = _bare(annotation)
    if isinstance(value, Text):
        return _from_text(value.value, bare, optional, where)
    if isinstance(value, list):
        kinds = _items(bare, len(value))
        return [_nested_text(item, kind, where) for item, kind in zip(value, kinds, strict=True)]
    return {key: _nested_text(item, Any, where) for key, item in value.items()}
