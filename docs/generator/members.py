"""What the workspace's members announce, read from their own pyproject files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Member(NamedTuple):
    """One entry point of a member."""

    group: str
    name: str
    target: str
    distribution: str
    folder: Path

    def load(self) -> ModuleType:
        """The module that it names."""
        return import_module(self.target)


def members(group: str) -> Iterator[Member]:
    """The entry points of a group, by name."""
    return iter(sorted((member for member in _all() if member.group == group), key=lambda member: member.name))


def _all() -> Iterator[Member]:
    for file in ROOT.glob("*/**/pyproject.toml"):
        if file.parts[len(ROOT.parts)] not in ("plugins", "exchanges", "policies"):
            continue
        project = tomllib.loads(file.read_text())["project"]
        for group, points in project.get("entry-points", {}).items():
            for name, target in points.items():
                yield Member(group, name, target, project["name"], file.parent)
