"""Values that are not typed yet, each with the place it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from grinder.errors import ConfigError

Kind: TypeAlias = Literal["command line", "environment", "secrets", "file", "profile", "default"]


class Origin(msgspec.Struct, frozen=True):
    """Where a value came from: ``name`` is a key, a variable, a file or a profile; ``line`` 0 means all of it."""

    kind: Kind
    name: str = ""
    line: int = 0

    def __str__(self) -> str:  # noqa: D105
        if self.kind == "command line":
            return "--profile" if self.name == "--profile" else f"--set {self.name}"
        if self.kind == "default":
            return "default"
        place = f"profile {self.name}" if self.kind == "profile" else self.name
        return f"{place}:{self.line}" if self.line else place


DEFAULT = Origin("default")


class Text(msgspec.Struct, frozen=True):
    """A value given as text, which only the model can type; ``variables`` were substituted into it."""

    value: str
    variables: tuple[str, ...] = ()

    def __repr__(self) -> str:  # noqa: D105
        return "Text(**********)"  # it may be a secret, which is not known before the model is


class Leaf(msgspec.Struct, frozen=True):
    """One value. Lists are values; mappings are trees."""

    value: Any
    origin: Origin

    def __repr__(self) -> str:  # noqa: D105
        return f"Leaf(**********, {self.origin})"


Tree: TypeAlias = "dict[str, Leaf | Tree]"


class Layer(msgspec.Struct, frozen=True):
    """Everything that one source says. ``lenient`` values are dropped where what they are meant for is not loaded."""

    tree: Tree
    lenient: bool = False


def insert(tree: Tree, path: Sequence[str], leaf: Leaf) -> None:
    """Put a value into a tree; the last one given for a key holds.

    Raises:
        ConfigError: the path goes through a value, or ends at a group that already has values.
    """
    *groups, key = path
    for group in groups:
        child = tree.setdefault(group, {})
        if isinstance(child, Leaf):
            raise ConfigError(f"{leaf.origin} contradicts {child.origin}: one sets a group, the other a key in it")
        tree = child
    present = tree.get(key)
    if isinstance(present, dict):
        other = first_leaf(present)
        raise ConfigError(f"{leaf.origin} contradicts {other.origin}: one sets a group, the other a key in it")
    tree[key] = leaf


def first_leaf(tree: Tree) -> Leaf:
    """The first value of a tree that has one, else a leaf without origin."""
    for child in tree.values():
        leaf = child if isinstance(child, Leaf) else first_leaf(child)
        if leaf.origin is not DEFAULT:
            return leaf
    return Leaf(None, DEFAULT)


def find(layers: Sequence[Layer], path: Sequence[str]) -> Leaf | None:
    """The value that holds at a path: that of the highest layer which has one there, or in the group there."""
    for layer in layers:
        node: Leaf | Tree | None = layer.tree
        for key in path:
            if isinstance(node, Leaf):
                break
            node = node.get(key) if node else None
        if isinstance(node, Leaf):
            return node
        if node:
            return first_leaf(node)
    return None


def keys(layers: Sequence[Layer], group: str) -> Iterator[str]:
    """The keys that any layer has in a top-level group, sorted."""
    found: set[str] = set()
    for layer in layers:
        node = layer.tree.get(group)
        if isinstance(node, dict):
            found.update(node)
    yield from sorted(found)


def plain(tree: Tree) -> dict[str, Any]:
    """The values of a tree without their origins."""
    return {key: child.value if isinstance(child, Leaf) else plain(child) for key, child in tree.items()}
