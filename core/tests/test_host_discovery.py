"""What is installed is found without importing it, and doubtful things are refused by name."""

from __future__ import annotations

import importlib
import importlib.util
import os
import py_compile
import sys
import tomllib
from pathlib import Path

import pytest

from grinder.errors import ConfigError, PluginError
from grinder.host.discovery import (
    EXCHANGES,
    PLUGINS,
    RESERVED,
    SETTINGS_KEY_GROUPS,
    SHIPPED,
    STRATEGIES,
    PluginRecord,
    PluginState,
    decide,
    discover,
    missing,
    unsafe,
)
from grinder.host.loading import PluginImportError, import_record, load_extension

MARKS = """
from pathlib import Path
Path({marker!r}).touch()
"""


class Site:
    """A folder on ``sys.path`` with real distributions in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, dist: str, entries: str, *, version: str = "1.0", **modules: str) -> None:
        info = self.folder / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entries)
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(source)
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield Site(folder)
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None) or ""
        if path.startswith(str(tmp_path)):
            del sys.modules[name]


def by_name(records: tuple[PluginRecord, ...], name: str) -> PluginRecord:
    (record,) = (record for record in records if record.name == name)
    return record


def plugin_file(folder: Path, name: str, source: str = "") -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    path.write_text(source)
    path.chmod(0o600)
    return path


def test_metadata_tells_name_version_and_target_without_an_import(site, tmp_path):
    marker = tmp_path / "imported"
    site.install(
        "acme-gate", "[grinder.plugins]\nacme = acme_gate\n", version="2.3", acme_gate=MARKS.format(marker=str(marker))
    )
    record = by_name(discover(), "acme")
    assert (record.distribution, record.version, record.target) == ("acme-gate", "2.3", "acme_gate")
    assert record.state is PluginState.DISABLED
    assert not marker.exists()
    import_record(by_name(decide(discover(), ["acme"]), "acme"))
    assert marker.exists()


def test_the_workspace_is_found_sorted():
    names = [record.name for record in discover()]
    assert names == sorted(names)
    assert {"warm_up", "liquidity_by_side"} <= set(names)


def test_two_distributions_with_one_name_are_both_refused_and_both_named(site):
    site.install("acme-gate", "[grinder.plugins]\nacme = acme_gate\n", acme_gate="")
    site.install("evil-gate", "[grinder.plugins]\nacme = evil_gate\n", version="9.9", evil_gate="")
    claimants = [record for record in decide(discover(), ["acme"]) if record.name == "acme"]
    assert [record.state for record in claimants] == [PluginState.REFUSED] * 2
    for record in claimants:
        assert "acme-gate 1.0 and evil-gate 9.9" in record.reason
        assert "uninstall" in record.reason


def test_a_strategy_and_a_plugin_cannot_share_a_settings_key(site):
    site.install("acme-a", "[grinder.plugins]\nacme = acme_a\n", acme_a="")
    site.install("acme-b", "[grinder.strategies]\nacme = acme_b\n", acme_b="")
    for group in (PLUGINS, STRATEGIES):
        record = by_name(discover(group), "acme")
        assert record.group == group
        assert record.state is PluginState.REFUSED
        assert "acme-a 1.0 and acme-b 1.0" in record.reason


def test_an_exchange_may_be_called_like_a_plugin(site):
    site.install("acme-x", "[grinder.plugins]\nacme = acme_x\n[grinder.exchanges]\nacme = acme_x\n", acme_x="")
    assert by_name(discover(), "acme").state is PluginState.DISABLED
    assert by_name(discover(EXCHANGES), "acme").state is PluginState.DISABLED


@pytest.mark.parametrize("name", ["near-liq", "NearLiq", "2fast", "core", "a b"])
def test_names_that_cannot_be_keys_are_refused(site, name):
    site.install("acme-gate", f"[grinder.plugins]\n{name} = acme_gate\n", acme_gate="")
    record = by_name(discover(), name)
    assert record.state is PluginState.REFUSED
    assert "rename" in record.reason


RECORD = PluginRecord(group=PLUGINS, name="near_liq", target="x", distribution="Grinder_Plugin.near-liq", version="1.4")


@pytest.mark.parametrize(
    ("allow", "deny", "state", "reason"),
    [
        ((), (), PluginState.ENABLED, ""),
        (("near_liq",), (), PluginState.ENABLED, ""),
        (("grinder-plugin-near-liq",), (), PluginState.ENABLED, ""),
        (("grinder-plugin-near-liq==1.4",), (), PluginState.ENABLED, ""),
        (("grinder-plugin-near-liq==1.5",), (), PluginState.DENIED, "host.allow"),
        (("other",), (), PluginState.DENIED, "host.allow"),
        (("near_liq",), ("near-liq",), PluginState.DENIED, "host.deny lists 'near-liq'"),
        ((), ("grinder-plugin-near-liq",), PluginState.DENIED, "host.deny"),
        ((), ("grinder-plugin-near-liq<1.4",), PluginState.ENABLED, ""),
    ],
)
def test_allow_and_deny_by_distribution_or_name(allow, deny, state, reason):
    (record,) = decide([RECORD], ["near_liq"], allow=allow, deny=deny)
    assert record.state is state
    assert reason in record.reason
    assert bool(record.reason) is bool(reason)


def test_disabled_says_so():
    (record,) = decide([RECORD], [])
    assert (record.state, record.reason) == (PluginState.DISABLED, "not enabled")


def test_an_unreadable_list_entry_is_an_error():
    with pytest.raises(ConfigError, match=r"host\.deny: 'near liq!' is neither"):
        decide([RECORD], [], deny=["near liq!"])


def test_missing_names_the_package_to_install():
    assert missing(PLUGINS, "near_liq", [RECORD]).endswith("pip install grinder-plugin-near-liq")
    assert "pip install grinder-exchange-bybit" in missing(EXCHANGES, "bybit", [])


# plugins directory


def test_files_are_found_sorted_and_named_by_stem(tmp_path):
    folder = tmp_path / "plugins"
    for name in ("zeta.py", "alpha.py", "notes.txt"):
        plugin_file(folder, name)
    files = [record for record in discover(plugins_dir=folder) if not record.distribution]
    assert [record.name for record in files] == ["alpha", "zeta"]
    assert files[0].target == str(folder / "alpha.py")


def test_a_file_that_claims_an_installed_name_is_refused_with_it(tmp_path):
    plugin_file(tmp_path / "plugins", "warm_up.py")
    claimants = [record for record in discover(plugins_dir=tmp_path / "plugins") if record.name == "warm_up"]
    assert [record.state for record in claimants] == [PluginState.REFUSED] * 2
    assert "grinder-plugin-warm-up" in claimants[0].reason


def test_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="is not a directory"):
        discover(plugins_dir=tmp_path / "absent")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
@pytest.mark.parametrize("what", ["parent", "folder", "file"])
def test_what_others_can_write_is_refused_with_the_remedy(tmp_path, what, mode):
    parent = tmp_path / "parent"
    parent.mkdir()
    path = plugin_file(parent / "plugins", "acme.py")
    loose = {"parent": parent, "folder": parent / "plugins", "file": path}[what]
    loose.chmod(mode)
    record = by_name(decide(discover(plugins_dir=parent / "plugins"), ["acme"]), "acme")
    assert record.state is PluginState.REFUSED
    assert f"chmod go-w {loose}" in record.reason
    loose.chmod(0o700)
    assert unsafe(path) == ""


def test_a_sticky_parent_passes_but_a_sticky_folder_does_not(tmp_path):
    parent = tmp_path / "parent"
    parent.mkdir()
    path = plugin_file(parent / "plugins", "acme.py")
    parent.chmod(0o1777)
    assert unsafe(path) == ""
    path.parent.chmod(0o1777)
    assert f"chmod go-w {path.parent}" in unsafe(path)


def test_what_a_link_points_to_is_looked_at(tmp_path):
    loose = tmp_path / "loose"
    target = plugin_file(loose, "target.py")
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o700)
    (folder / "acme.py").symlink_to(target)
    assert unsafe(folder / "acme.py") == ""
    loose.chmod(0o777)
    assert f"chmod go-w {loose}" in unsafe(folder / "acme.py")


def test_a_dangling_link_is_refused(tmp_path):
    (tmp_path / "acme.py").symlink_to(tmp_path / "nowhere")
    assert "cannot be checked" in unsafe(tmp_path / "acme.py")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = plugin_file(tmp_path / "plugins", "acme.py")
    os.chown(path, 4711, 4711)
    assert "belongs to user id 4711" in unsafe(path)
    assert f"chown {os.geteuid()} {path}" in unsafe(path)


# the import itself


def enabled(site_name: str) -> PluginRecord:
    return by_name(decide(discover(), [site_name]), site_name)


@pytest.mark.parametrize("source", ["raise RuntimeError('no model')", "import sys; sys.exit(1)", "def broken(:"])
def test_an_import_that_fails_is_reported_with_plugin_target_and_error(site, source):
    site.install("acme-gate", "[grinder.plugins]\nacme = acme_gate\n", acme_gate=source)
    with pytest.raises(PluginImportError, match=r"plugin 'acme': importing acme_gate \(acme-gate 1\.0\) raised"):
        import_record(enabled("acme"))


def test_a_target_that_is_not_there_is_reported(site):
    site.install("acme-gate", "[grinder.plugins]\nacme = acme_gate:absent\n", acme_gate="")
    with pytest.raises(PluginImportError, match="absent"):
        import_record(enabled("acme"))


@pytest.mark.parametrize("wanted", [">=1.0,<2", ">=1", "~=1.0", ""])
def test_a_fitting_api_range_passes(site, wanted):
    site.install("acme-gate", "[grinder.plugins]\nacme = acme_gate\n", acme_gate=f"GRINDER_API = {wanted!r}")
    assert wanted == import_record(enabled("acme")).GRINDER_API


@pytest.mark.parametrize("wanted", [">=2", "<1", "==1.1", "==0.9.*"])
def test_the_fence_refuses_another_api(site, wanted):
    site.install("acme-gate", "[grinder.plugins]\nacme = acme_gate\n", acme_gate=f"GRINDER_API = {wanted!r}")
    with pytest.raises(PluginError, match=r"this grinder has 1\.0") as caught:
        import_record(enabled("acme"))
    assert wanted in str(caught.value)
    assert not isinstance(caught.value, PluginImportError)


@pytest.mark.parametrize("wanted", ["one", 1, None])
def test_an_api_range_that_cannot_be_read_is_refused(site, wanted):
    site.install("acme-gate", "[grinder.plugins]\nacme = acme_gate\n", acme_gate=f"GRINDER_API = {wanted!r}")
    if wanted is None:
        import_record(enabled("acme"))
        return
    with pytest.raises(PluginError, match="must be a version range"):
        import_record(enabled("acme"))


def test_a_plugin_file_is_imported_once_it_is_wanted(tmp_path):
    path = plugin_file(tmp_path / "plugins", "acme.py", "VALUE = 7")
    record = by_name(decide(discover(plugins_dir=path.parent), ["acme"]), "acme")
    assert import_record(record).VALUE == 7


def test_bytecode_beside_a_plugin_file_is_neither_read_nor_written(tmp_path):
    path = plugin_file(tmp_path / "plugins", "acme.py", "VALUE = 7")
    cache = path.parent / "__pycache__"
    planted = py_compile.compile(str(path), cfile=importlib.util.cache_from_source(str(path)))
    times = path.stat()
    path.write_text("VALUE = 8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # the planted bytecode still looks up to date
    record = by_name(decide(discover(plugins_dir=path.parent), ["acme"]), "acme")
    assert import_record(record).VALUE == 8
    assert list(cache.iterdir()) == [Path(planted)]


OBJECT = """
from grinder import GateSettings, hookimpl
GRINDER_API = ">=9"
class Plugin:
    @hookimpl
    def register_settings(self): return GateSettings
plugin = Plugin()
"""


def test_the_fence_of_a_module_holds_for_an_object_in_it(site):
    site.install("acme-gate", "[grinder.plugins]\nacme = acme_gate:plugin\n", acme_gate=OBJECT)
    with pytest.raises(PluginError, match="GRINDER_API is '>=9'"):
        import_record(enabled("acme"))


def test_a_plugin_file_that_fails_leaves_nothing_behind(tmp_path):
    path = plugin_file(tmp_path / "plugins", "acme_broken.py", "1 / 0")
    record = by_name(decide(discover(plugins_dir=path.parent), ["acme_broken"]), "acme_broken")
    with pytest.raises(PluginImportError, match="ZeroDivisionError"):
        import_record(record)
    assert not [name for name in sys.modules if name.endswith("acme_broken")]


# exchanges, strategies, policies

EXCHANGE = """
from grinder import Section
from pydantic import Field
class Settings(Section):
    seed: int = Field(default=1, description="Seed.")
def create(settings): ...
"""


def test_an_extension_is_loaded_by_name(site):
    site.install("acme-x", "[grinder.exchanges]\nacme = acme_x\n", acme_x=EXCHANGE)
    assert load_extension(EXCHANGES, "acme").Settings(seed=2).seed == 2


@pytest.mark.parametrize(
    ("source", "lists", "message"),
    [
        (EXCHANGE.replace("def create", "def make"), {}, "acme_x has no 'create'"),
        (EXCHANGE.replace("(Section)", ""), {}, "must be a subclass of Section"),
        (EXCHANGE.replace(', description="Seed."', ""), {}, "'seed' of Settings has no description"),
        (EXCHANGE + "\nGRINDER_API = '>=7'", {}, "this grinder has 1.0"),
        ("1 / 0", {}, "ZeroDivisionError"),
        (EXCHANGE, {"deny": ["acme-x"]}, "host.deny lists 'acme-x'"),
        (EXCHANGE, {"allow": ["other"]}, "host.allow does not list"),
    ],
)
def test_an_extension_that_does_not_fit_is_refused(site, source, lists, message):
    site.install("acme-x", "[grinder.exchanges]\nacme = acme_x\n", acme_x=source)
    with pytest.raises(PluginError) as caught:
        load_extension(EXCHANGES, "acme", **lists)
    assert message in str(caught.value)


def test_an_extension_claimed_twice_is_refused(site):
    site.install("acme-x", "[grinder.exchanges]\nacme = acme_x\n", acme_x=EXCHANGE)
    site.install("acme-y", "[grinder.exchanges]\nacme = acme_y\n", acme_y=EXCHANGE)
    with pytest.raises(PluginError, match=r"acme-x 1\.0 and acme-y 1\.0"):
        load_extension(EXCHANGES, "acme")


@pytest.mark.parametrize("folder", ["plugins", "exchanges", "policies"])
def test_the_names_of_what_grinder_brings_are_kept_for_it(folder):
    places = sorted((Path(__file__).parents[2] / folder).rglob("pyproject.toml"))
    assert places
    for place in places:
        points = tomllib.loads(place.read_text())["project"].get("entry-points", {})
        plugins = {name for group in SETTINGS_KEY_GROUPS for name in points.get(group, {})}
        assert plugins <= SHIPPED, f"{place} announces what SHIPPED does not list"
        assert points.get(EXCHANGES, {}).keys() <= RESERVED, f"{place} announces what RESERVED does not list"


def test_an_extension_that_is_not_installed_says_what_to_install():
    with pytest.raises(ConfigError, match="pip install grinder-exchange-acme"):
        load_extension(EXCHANGES, "acme")
