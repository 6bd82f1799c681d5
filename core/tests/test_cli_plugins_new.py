"""``grinder plugins new``: a package that holds to everything, and nothing of what was there before is touched."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from grinder import HOOK_API
from grinder.cli.main import invoke

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def new(capsys):
    def run(*args: str) -> tuple[int, str, str]:
        code = invoke(["plugins", "new", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    assert invoke(["plugins", "new", "tiny-cap", "--out", str(folder), "--author", 'Ada "L" <ada@example.org>']) == 0
    return folder / "grinder-plugin-tiny-cap"


def test_it_says_what_it_wrote(new, tmp_path):
    code, out, err = new("near-lik", "--out", str(tmp_path / "deep" / "er"), "--json")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert (report["name"], report["distribution"]) == ("near_lik", "grinder-plugin-near-lik")
    folder = Path(report["path"])
    assert folder == tmp_path / "deep" / "er" / "grinder-plugin-near-lik"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == set(report["files"])
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert "%{" not in "".join((folder / name).read_text() for name in written)


def test_the_text_says_what_to_do_next(new, tmp_path):
    code, out, _ = new("near_lik", "--out", str(tmp_path))
    assert code == 0
    assert out.splitlines()[-1] == "       grinder plugins check near_lik"


def test_the_package_fits_this_grinder(made):
    project = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"grinder.plugins": {"tiny_cap": "grinder_plugin_tiny_cap"}}
    assert project["authors"] == [{"name": 'Ada "L"', "email": "ada@example.org"}]
    needed = [Requirement(text) for text in project["dependencies"]]
    (core,) = [each for each in needed if each.name == "grinder-core"]
    assert core.specifier.contains(version("grinder-core"))
    assert not core.specifier.contains("1.0")
    source = (made / "src" / "grinder_plugin_tiny_cap" / "__init__.py").read_text()
    declared = source.partition('GRINDER_API = "')[2].partition('"')[0]
    assert SpecifierSet(declared).contains(HOOK_API)


def test_its_gate_is_under_thirty_lines(made):
    package = made / "src" / "grinder_plugin_tiny_cap"
    assert len((package / "__init__.py").read_text().splitlines()) < 30
    code = [line for file in package.glob("*.py") for line in file.read_text().splitlines() if line.strip()]
    assert len(code) - sum('"""' in line for line in code) < 30


def test_its_code_is_as_ours_has_to_be(made):
    own = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "."], cwd=made, capture_output=True, text=True, check=False
    )
    assert own.returncode == 0, own.stdout
    ours = ["--config", str(ROOT / "pyproject.toml")]
    first_party = ["--config", 'lint.isort.known-first-party = ["grinder", "grinder_plugin_tiny_cap"]']
    for command in (["check", *ours, *first_party], ["format", "--check", *ours], ["format", "--check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=made, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_its_own_tests_pass(made):
    options = ["-q", "-p", "no:cacheprovider", "-k", "not Conformance"]  # the packaging test runs all of them
    code = f"import sys, pytest; sys.path.insert(0, 'src'); sys.exit(pytest.main({options!r}))"
    ran = subprocess.run([sys.executable, "-B", "-c", code], cwd=made, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "6 passed" in ran.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("warm-up", "plugin of grinder's own"),
        ("fill_prob", "plugin of grinder's own"),
        ("grid", "plugin of grinder's own"),
        ("core", "reserved"),
        ("paper", "reserved"),
        ("json", "cannot be a key of settings, which have a part of that name; choose another"),
        ("grinder-plugin-cap", "leave out grinder-plugin-"),
        ("Cap", "lower-case words"),
        ("1cap", "lower-case words"),
        ("cap--two", "lower-case words"),
        ("cap-", "lower-case words"),
        ("../cap", "lower-case words"),
        ("cap/../../x", "lower-case words"),
        ("cäp", "lower-case words"),
        ("class", "is a keyword of Python"),
        ("c" * 41, "lower-case words"),
        ("", "lower-case words"),
        ("copy", "cannot be a key of settings"),
        ("model-dump", "cannot be a key of settings"),
    ],
)
def test_names_that_cannot_be(new, tmp_path, name, said):
    code, out, err = new("--out", str(tmp_path), "--", name)
    assert (code, out) == (2, "")
    assert said in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("author", ["Ada\nLovelace", "<ada@example.org>", "Ada <ada>", "A <a@b> <c@d>", "   "])
def test_authors_that_cannot_be(new, tmp_path, author):
    code, _, err = new("cap", "--out", str(tmp_path), "--author", author)
    assert code == 2
    assert "--author" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["folder", "file", "dangling"])
def test_what_exists_is_left_alone(new, tmp_path, kind):
    place = tmp_path / "grinder-plugin-cap"
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "nowhere")
    code, _, err = new("cap", "--out", str(tmp_path))
    assert code == 2
    assert "exists already" in err
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_a_place_that_cannot_be_written(new, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = new("cap", "--out", str(tmp_path / "file" / "under"))
    assert code == 3
    assert "cannot be written" in err
