from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr, field_validator

from grinder.errors import ConfigError
from grinder.settings.model import compose
from grinder.settings.origin import Text
from grinder.settings.plugin import PluginSettings, Section
from grinder.settings.report import fingerprint, flatten
from grinder.settings.sources import Sources

PLANTED = "planted-5ecret-value"


class Venue(Section):
    api_key: SecretStr | None = Field(default=None, min_length=4, description="Key.")
    api_secret: SecretStr | None = Field(default=None, description="Secret.")
    spare_keys: tuple[SecretStr, ...] = Field(default=(), description="More keys.")
    testnet: bool = Field(default=False, description="Test network.")


class Alarm(PluginSettings):
    token: SecretStr | None = Field(default=None, description="Token.")
    room: str = Field(default="", description="Room.")

    @field_validator("room")
    @classmethod
    def _careless(cls, room: str) -> str:
        if room.startswith("bad"):
            raise ValueError(f"no such room: {room}")
        return room


MODEL = compose({"alarm": Alarm}, {"binance": Venue}, ("grid", "warm_up", "liquidity_by_side"))


def venue(sources: Sources) -> Venue:
    found = sources.settings(MODEL).exchanges.get("binance")
    assert isinstance(found, Venue)
    return found


def yaml_file(tmp_path: Path, text: str) -> Path:
    (tmp_path / "app.yml").write_text(text)
    return tmp_path / "app.yml"


def secrets_dir(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / name).write_text(PLANTED + "\n")
    return folder


WAYS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "environment": lambda _: {"environ": {"GRINDER_EXCHANGES__BINANCE__API_SECRET": PLANTED}},
    "named variable": lambda _: {"environ": {"BINANCE_API_SECRET": PLANTED}},
    "file by key": lambda folder: {"secrets_dir": secrets_dir(folder, "exchanges.binance.api_secret")},
    "file by variable": lambda folder: {"secrets_dir": secrets_dir(folder, "GRINDER_EXCHANGES__BINANCE__API_SECRET")},
    "file by name": lambda folder: {"secrets_dir": secrets_dir(folder, "BINANCE_API_SECRET")},
    "yaml": lambda folder: {"config": yaml_file(folder, f"exchanges: {{binance: {{api_secret: {PLANTED}}}}}\n")},
    "yaml variable": lambda folder: {
        "config": yaml_file(folder, "exchanges:\n  binance:\n    api_secret: ${BINANCE_API_SECRET}\n"),
        "environ": {"BINANCE_API_SECRET": PLANTED},
    },
    "yaml default": lambda folder: {
        "config": yaml_file(folder, f"exchanges:\n  binance:\n    api_secret: ${{BINANCE_X:-{PLANTED}}}\n")
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_arrives_and_is_never_shown(tmp_path: Path, way: str):
    sources = Sources.load(**{"environ": {}, **WAYS[way](tmp_path)})
    settings = sources.settings(MODEL)
    secret = venue(sources).api_secret
    assert secret is not None
    assert secret.get_secret_value() == PLANTED
    rows = {row.key: row for row in flatten(settings)}
    assert rows["exchanges.binance.api_secret"].shown == "**********"
    seen = [repr(settings), str(settings), settings.model_dump_json(), repr(sources), repr(sources._layers)]
    seen += [str(row.shown) for row in rows.values()] + sources.unused(settings)
    assert PLANTED not in "\n".join(seen)


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_not_in_errors_nor_in_their_tracebacks(tmp_path: Path, way: str):
    broken = ["exchanges.binance.testnet=maybe", "market.stale_ms=x", f"log.level={PLANTED}", "zzz=1"]
    sources = Sources.load(**{"environ": {}, "overrides": broken, **WAYS[way](tmp_path)})
    with pytest.raises(ConfigError) as error:
        sources.settings(MODEL)
    assert len(str(error.value).splitlines()) == len(broken)
    assert PLANTED not in "".join(traceback.format_exception(error.value))


def test_a_plugin_that_quotes_what_it_refuses_does_not_quote_a_secret():
    environ = {"GRINDER_PLUGINS__ALARM__TOKEN": PLANTED, "GRINDER_PLUGINS__ALARM__ROOM": f"bad {PLANTED}"}
    with pytest.raises(ConfigError, match=r"no such room: bad \*\*\*\*\*\*\*\*\*\*"):
        Sources.load(environ=environ, overrides=["plugins.alarm.enabled=true"]).settings(MODEL)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"exchanges:\n  binance:\n    api_secrt: {PLANTED}\n", 3),
        (f"exchanges:\n  binance:\n    api_secret: [{PLANTED}]\n", 3),
        (f"exchanges:\n  binance:\n    api_secret: {{a: {PLANTED}}}\n", 3),
        (f"exchanges:\n  binance:\n    api_secret: {PLANTED}\n    api_secret: {PLANTED}\n", 4),
        (f"exchanges:\n  binance:\n    api_secret: '{PLANTED}\n", 4),
        (f"exchanges:\n  binance:\n    api_secret: {PLANTED}: x\n", 3),
        (f"exchanges:\n  binance:\n    api_secret: *{PLANTED}\n", 3),
        (f"exchanges:\n  binance:\n    api_secret: ${{{PLANTED}}}\n", 3),
    ],
)
def test_broken_files_are_not_quoted(tmp_path: Path, text: str, line: int):
    with pytest.raises(ConfigError, match=rf"app\.yml:{line}: ") as error:
        Sources.load(config=yaml_file(tmp_path, text), environ={}).settings(MODEL)
    assert PLANTED not in str(error.value)


@pytest.mark.parametrize(
    "name", ["GRINDER_EXCHANGES__BINANCE__API_SECRT", "GRINDER_FILL_MODEL_ENFORCE", "GRINDER_LOG__JSON", "GRINDER_ZZZ"]
)
def test_a_secret_in_the_wrong_variable_is_not_quoted(name: str):
    with pytest.raises(ConfigError) as error:
        Sources.load(environ={name: PLANTED}).settings(MODEL)
    assert name in str(error.value)
    assert PLANTED not in str(error.value)


@pytest.mark.parametrize(
    "key",
    [
        "exchanges.binance.api_secret",
        "exchanges.binance.spare_keys",
        "exchanges.bybit.api_key",
        "plugins.alarm.token",
        "plugins.not_loaded.PASSWORD",
    ],
)
def test_secrets_are_refused_on_the_command_line(key: str):
    with pytest.raises(ConfigError) as error:
        Sources.load(overrides=[f"{key}={PLANTED}"], environ={}).settings(MODEL)
    assert f"--set {key}: " in str(error.value)
    assert "use the environment or a secrets directory" in str(error.value)
    assert PLANTED not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exchanges: {binance: {api_key: '${AWS_SECRET_ACCESS_KEY}'}}", "variables named BINANCE_* may be used"),
        ("exchanges: {binance: {spare_keys: ['${BYBIT_API_KEY}']}}", "variables named BINANCE_* may be used"),
        ("plugins: {alarm: {token: 'x${BINANCE_API_SECRET}'}}", "variables named ALARM_* may be used"),
        ("plugins: {alarm: {room: '${BINANCE_API_SECRET}'}}", "would show the secret ${BINANCE_API_SECRET}"),
        ("metrics: {host: '${AWS_SECRET_ACCESS_KEY}'}", "would show the secret ${AWS_SECRET_ACCESS_KEY}"),
        ("symbols: [{a: ['${GITHUB_TOKEN}']}]", "would show the secret ${GITHUB_TOKEN}"),
        ("symbols: ['${GITHUB_TOKEN}']", "would show the secret ${GITHUB_TOKEN}"),
    ],
)
def test_secrets_are_substituted_only_where_they_belong(tmp_path: Path, text: str, said: str):
    names = ("AWS_SECRET_ACCESS_KEY", "BYBIT_API_KEY", "BINANCE_API_SECRET", "GITHUB_TOKEN")
    sources = Sources.load(config=yaml_file(tmp_path, text), environ=dict.fromkeys(names, PLANTED))
    with pytest.raises(ConfigError) as error:
        sources.settings(MODEL)
    assert said in str(error.value)
    assert PLANTED not in str(error.value)


def test_a_secret_is_taken_as_it_is_written():
    for text in ("12345678", "null", "true", "'quoted'", "a: b", "[x]", " spaces ", "1e5", "${HOME}", "#"):
        secret = venue(Sources.load(environ={"BINANCE_API_SECRET": text})).api_secret
        assert secret is not None
        assert secret.get_secret_value() == text


def test_an_empty_secret_is_none(tmp_path: Path):
    assert venue(Sources.load(environ={"GRINDER_EXCHANGES__BINANCE__API_SECRET": ""})).api_secret is None
    config = yaml_file(tmp_path, "exchanges: {binance: {api_secret: '${BINANCE_API_SECRET:-}'}}\n")
    assert venue(Sources.load(config=config, environ={})).api_secret is None


def test_lists_of_secrets_and_text_that_may_be_one_are_hidden():
    environ = {"GRINDER_EXCHANGES__BINANCE__SPARE_KEYS": f"{PLANTED},{PLANTED}"}
    sources = Sources.load(environ=environ)
    assert [key.get_secret_value() for key in venue(sources).spare_keys] == [PLANTED, PLANTED]
    rows = {row.key: row.shown for row in flatten(sources.settings(MODEL))}
    assert rows["exchanges.binance.spare_keys"] == "**********"
    assert PLANTED not in repr(Text(PLANTED))


def test_a_secret_changes_no_fingerprint():
    without = Sources.load(environ={}).settings(MODEL)
    with_one = Sources.load(environ={"BINANCE_API_SECRET": PLANTED}).settings(MODEL)
    assert fingerprint(without) == fingerprint(with_one)
