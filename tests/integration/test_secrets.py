"""A run that has secrets leaves them nowhere: not in a file, not on the screen, not in what is served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from base64 import b64encode
from hashlib import sha256

import pytest

BY_VARIABLE, BY_FILE, IN_A_LIST = "planted5ecretByVariable", "planted5ecretByFile", "planted5ecretInAList"
PLANTED = (BY_VARIABLE, BY_FILE, IN_A_LIST)

GRINDER = (sys.executable, "-m", "grinder.cli")

PLUGIN = """
from __future__ import annotations

from hashlib import sha256

from pydantic import Field, SecretStr

from grinder import Allow, GateSettings, OrderIntent, Verdict, hookimpl


class Settings(GateSettings):
    token: SecretStr = Field(default=SecretStr(""), description="Token.")
    password: SecretStr = Field(default=SecretStr(""), description="Password.")
    spare: tuple[SecretStr, ...] = Field(default=(), description="Spare tokens.")


@hookimpl
def register_settings() -> type[Settings]:
    return Settings


@hookimpl
def pre_order_gate(order: OrderIntent, settings: Settings) -> Verdict:
    values = (settings.token, settings.password, *settings.spare)
    return Allow({"digest": int(sha256("".join(v.get_secret_value() for v in values).encode()).hexdigest()[:8], 16)})
"""


def written(folder) -> None:
    """The plugin and the secret files."""
    for name, content in (
        ("plugins/alarm.py", PLUGIN),
        ("secrets/plugins.alarm.password", BY_FILE),
        ("secrets/plugins.alarm.spare", f"{IN_A_LIST},{IN_A_LIST}"),
    ):
        path = folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)


def served(process) -> tuple[str, dict[str, bytes]]:
    """What a run says until its metrics are served, and its pages."""
    said = ""
    for line in process.stderr:
        said += line
        if "METRICS_SERVED" in line:
            base = line.split("url=")[1].split("/metrics")[0]
            break
    else:
        pytest.fail(said)
    pages = {}
    for page in ("/metrics", "/healthz"):
        with urllib.request.urlopen(base + page, timeout=10) as answer:
            pages[page] = answer.read()
    return said, pages


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """What a run with three secrets leaves, by where: every file, both outputs, every page that it served."""
    folder = tmp_path_factory.mktemp("secrets")
    written(folder)
    around = {"cwd": folder, "env": os.environ | {"GRINDER_PLUGINS__ALARM__TOKEN": BY_VARIABLE}, "text": True}
    sets = ("plugins.alarm.enabled=true", "log.level=debug", "host.plugins_dir=plugins", "plugins.warm_up.seconds=0")
    more = ("--secrets-dir", "secrets", *(part for one in sets for part in ("--set", one)))
    paced = ("--duration", "100s", "--speed", "50x", "--metrics-port", "0", "--out", "out")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*GRINDER, "run", *paced, *more], **pipes, **around) as process:
        try:
            said, found = served(process)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    shown = subprocess.run([*GRINDER, "config", "show", *more], check=True, timeout=60, **pipes, **around)
    found |= {"stdout": out.encode(), "stderr": (said + err).encode(), "config show": shown.stdout.encode()}
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    return found | {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_secrets_arrived(traces):
    expected = int(sha256(f"{BY_VARIABLE}{BY_FILE}{IN_A_LIST}{IN_A_LIST}".encode()).hexdigest()[:8], 16)
    asked = [
        gate["inputs"]["digest"]
        for line in traces["out/decisions.jsonl"].splitlines()
        for gate in json.loads(line)["gates"]
        if gate["gate"] == "alarm"
    ]
    assert asked
    assert set(asked) == {expected}


def test_everything_that_a_run_leaves_is_looked_at(traces):
    names = {name.rpartition("/")[2] for name in traces}
    assert names >= {"decisions.jsonl", "fills.jsonl", "settings.json", "summary.json", "report.html", "journal.sqlite",
                     "metrics", "stdout", "stderr", "config show"}  # fmt: skip
    assert b"alarm" in traces["out/settings.json"]
    assert b"grinder_" in traces["/metrics"]


@pytest.mark.parametrize("secret", PLANTED)
def test_no_secret_is_left_anywhere(traces, secret):
    plain = secret.encode()
    forms = (plain, plain.hex().encode(), b64encode(plain).rstrip(b"="), plain[::-1])
    assert [name for name, content in traces.items() if any(form in content for form in forms)] == []
