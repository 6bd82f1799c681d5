"""What the pages and the README claim is there: commands, options, tests, files, gates. No machine, no registry."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from grinder.cli.main import COMMANDS, cli, load

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*/*.md")), ROOT / "docs" / "index.md"]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Commands.


def console(path: Path) -> Iterator[list[str]]:
    """The commands of a page's console blocks, split as a shell does; parts of a pipe are commands of their own."""
    for block in re.findall(r"^```console\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                for part in line[2:].split(" | "):
                    yield shlex.split(re.sub(r"^([A-Z_]+=\S* )+", "", part), comments=True)


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words after ``grinder`` name, and the rest of them."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *rest = words
        child = load(COMMANDS[name][0]) if command is cli and name in COMMANDS else command.commands.get(name)
        if child is None:
            raise LookupError(f"{command.name} has no command {name}")
        command, words = child, rest
    return command, words


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_commands_that_a_page_prints_exist_with_their_options(path):
    for words in console(path):
        if Path(words[0]).name == "grinder":
            command, rest = resolved(words[1:])
            assert not isinstance(command, click.Group) or "--help" in rest, words
            known = {option for each in command.params for option in each.opts} | {"--help", "-h"}
            passes_on = command.name in ("install", "uninstall")
            assert passes_on or {word for word in rest if word.startswith("-")} <= known, words
        elif words[0] == "make":
            assert set(words[1:]) <= TARGETS, words


def test_make_targets_that_the_readme_names_exist():
    names = re.findall(r"(?:`|^\$ )make ([a-z-]+)", README.read_text(), re.MULTILINE)
    assert {"paper", "test"} <= set(names) <= TARGETS


def test_the_readme_shows_both_commands_of_the_first_screen_with_output():
    blocks = re.findall(r"^```console\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    for command in ("make paper", "make test"):
        (block,) = [block for block in blocks if block.startswith(f"$ {command}\n")]
        assert len(block.splitlines()) > 1


def test_the_map_of_old_commands_says_what_is_there():
    rows = re.findall(r"^\|.*?`grinder ([a-z-]+(?: [a-z]+)?).*\| ([^|]+) \|$",
                      (ROOT / "docs" / "reference" / "old-commands.md").read_text(), re.MULTILINE)  # fmt: skip
    assert len(rows) > 20
    for name, state in rows:
        try:
            resolved(name.split())
            there = True
        except LookupError:
            there = False
        assert there is (state != "not there yet"), name


# Tests, files, gates.


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_tests_that_a_page_names_exist(path):
    for file, test in re.findall(r"`([\w/.-]+\.py)::(\w+)`", path.read_text()):
        assert re.search(rf"^\s*(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{test}"


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", README.read_text())
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_the_readme_lists_every_shipped_gate_with_its_reasons():
    rows = {row.split("`")[1]: row for row in README.read_text().splitlines() if row.startswith("| [`")}
    gates = {}
    for point in entry_points(group="grinder.plugins"):
        if point.dist and point.dist.name.startswith("grinder-plugin-") and hasattr(point.load(), "pre_order_gate"):
            gates[point.name] = point.load()
    assert rows.keys() == gates.keys()
    for name, module in gates.items():
        for code in module.REASONS:
            assert f"`{code}`" in rows[name]
        (setting,) = re.findall(r"\| `(\w+)`[^|]*\| [^|]*\|$", rows[name])
        assert setting in module.register_settings().model_fields


# Nothing of one machine.

FORBIDDEN = re.compile(
    "|".join((r"(?<![\w$}.])/(?:work|root|opt)/", r"(?<![\w$}.])/tmp/\w", r"(?<![\w$}.])/home/\w",
              r"\bpy" + r"pi\.org", r"\bpythonhosted\.org", r"\bnpm" + r"js\.org"))
)  # fmt: skip


def sources() -> Iterator[Path]:
    """Every file of the project that people write."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        if Path(name).suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".cfg", ""} and name != "uv.lock":
            yield ROOT / name


def test_no_machine_paths_and_no_registry_hosts():
    found = [
        f"{named(path)}:{number}: {line.strip()}"
        for path in sources()
        if path.is_file() and not path.is_symlink() and path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-d", tmp_path / "cache",
               ROOT / "docs", tmp_path / "html"]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "html" / "reference" / "hooks.html").exists()
