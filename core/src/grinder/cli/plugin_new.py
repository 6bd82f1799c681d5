"""``grinder plugins new``: a whole package with a gate that works, its tests and its continuous integration."""

from __future__ import annotations

import json
import keyword
import re
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

import click

from grinder.cli.output import say, say_json
from grinder.errors import ConfigError, StateError
from grinder.evidence.text import printable

FILES: Final[Mapping[str, str]] = {
    ".github/workflows/ci.yml": "ci.yml",
    ".gitignore": "gitignore",
    "LICENSE": "LICENSE",
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "src/%{module}/__init__.py": "gate.py",
    "src/%{module}/py.typed": "",
    "src/%{module}/settings.py": "settings.py",
    "tests/test_%{name}.py": "test_gate.py",
}
"""What is written, and the template that it is made of."""

PREFIX: Final = "grinder-plugin-"
LONGEST: Final = 40
AUTHOR: Final = re.compile(r"([^<>]*[^<>\s])\s*(?:<([^<>@\s]+@[^<>@\s]+)>)?")


class Placeholders(Template):
    """``%{name}`` is filled in; a percent sign alone is left as it is."""

    delimiter = "%"
    idpattern = "(?!)"
    braceidpattern = "[a-z_]+"


@click.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Folder to make the package in.")
@click.option("--author", default="", help="Author, as 'Name <mail>'; may be left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def new(name: str, out: Path, author: str, as_json: bool) -> None:
    """Write a package grinder-plugin-NAME with a gate, settings, tests, README and continuous integration.

    NAME is lower case, words joined by hyphens: near-lik. Nothing that exists is changed.
    """
    values = {**_named(name), **_authored(author), **_versions()}
    folder = out / values["distribution"]
    written = _write(folder, values)
    if as_json:
        row = {"name": values["name"], "distribution": values["distribution"], "path": str(folder), "files": written}
        say_json(json.dumps(row, indent=2))
        return
    where = printable(folder)
    say(f"{where}\n" + "\n".join(f"  {path}" for path in written))
    say(
        f"next:  cd {where}\n       pip install --editable '.[test]'\n       pytest\n"
        f"       grinder plugins check {values['name']}"
    )


def _named(name: str) -> dict[str, str]:
    """What follows from the name.

    Raises:
        ConfigError: it cannot be the name of a plugin, or belongs to one.
    """
    from grinder.errors import PluginError
    from grinder.host.discovery import NAME, RESERVED, SETTINGS_KEY_GROUPS, SHIPPED, discover
    from grinder.settings.model import compose
    from grinder.settings.plugin import PluginSettings

    if name.startswith((PREFIX, "grinder_plugin_")):
        raise ConfigError(f"{name!r}: leave out {PREFIX}, it is put in front: {name[len(PREFIX) :]}")
    key = name.replace("-", "_")
    if keyword.iskeyword(key):
        raise ConfigError(f"{name!r} is a keyword of Python, so that no module can be called so; choose another")
    if not NAME.fullmatch(key) or len(key) > LONGEST:
        raise ConfigError(
            f"{name!r:.80} cannot be a plugin's name: give lower-case words joined by hyphens, at most {LONGEST} "
            "characters, like near-lik"
        )
    if key in SHIPPED:
        raise ConfigError(f"{name!r} is the name of a plugin of grinder's own; choose another")
    if key in RESERVED:
        raise ConfigError(f"{name!r} is reserved; choose another")
    for record in (record for group in SETTINGS_KEY_GROUPS for record in discover(group)):
        if record.name == key:
            raise ConfigError(f"{name!r} is installed already, from {record.source}; choose another")
    try:
        compose({key: PluginSettings}, {})
    except PluginError:
        raise ConfigError(
            f"{name!r} cannot be a key of settings, which have a part of that name; choose another"
        ) from None
    hyphened = key.replace("_", "-")
    return {"name": key, "distribution": PREFIX + hyphened, "module": f"grinder_plugin_{key}", "code": key.upper()}


def _authored(author: str) -> dict[str, str]:
    """The line of pyproject.toml that names the author; none where nobody is named."""
    if not author:
        return {"authors": ""}
    found = AUTHOR.fullmatch(author)
    if found is None or not author.isprintable():
        raise ConfigError(f"--author {author!r:.80} is not like 'Name' or 'Name <mail@host>'")
    parts = {"name": found[1].strip(), **({"email": found[2]} if found[2] else {})}
    row = ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in parts.items())
    return {"authors": f"authors = [{{ {row} }}]\n"}


def _versions() -> dict[str, str]:
    """The ranges that are compatible with what is installed here."""
    from grinder import HOOK_API, __version__

    major, minor = (int(part) for part in __version__.split(".")[:2])
    core = f">={major}.{minor},<{major + 1}" if major else f">=0.{minor},<0.{minor + 1}"
    return {"core_range": core, "api_range": f">={HOOK_API},<{int(HOOK_API.partition('.')[0]) + 1}"}


def _write(folder: Path, values: Mapping[str, str]) -> list[str]:
    """Make everything beside its place, then move it there: a package is whole or not there."""
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder} exists already; choose another name or --out")
    templates = files("grinder.cli") / "template"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".grinder-new-") as draft:
            written = []
            for path, template in FILES.items():
                place = Placeholders(path).substitute(values)
                text = (templates / f"{template}.tmpl").read_text(encoding="utf-8") if template else ""
                file = Path(draft, "package", place)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(Placeholders(text).substitute(values), encoding="utf-8")
                written.append(place)
            Path(draft, "package").rename(folder)
    except OSError as error:
        raise StateError(f"{folder} cannot be written: {error.strerror or error}") from error
    return written
