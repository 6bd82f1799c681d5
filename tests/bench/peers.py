"""The peers' environment: packages that only the comparison needs, in ``.venv-peers`` and never in the lock."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-peers"
PINS = ("hftbacktest==2.4.4", "nautilus_trader==1.221.0")
SCRIPTS = ROOT.parent / "shared" / "bench"


def build() -> str:
    """Make the environment when it is missing; empty when it is there, else why it is not."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "peers.txt"
    if stamp.exists() and stamp.read_text() == "\n".join(PINS):
        return ""
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".venv-uv" / "bin" / "uv")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    commands = (
        [uv, "venv", "--quiet", "--python", sys.executable, str(ENVIRONMENT)],
        [uv, "pip", "install", "--quiet", "--python", str(python), *PINS],
    )
    try:
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
            if done.returncode:
                return done.stderr.strip().splitlines()[-1][:200] if done.stderr.strip() else "installation failed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:200]
    stamp.write_text("\n".join(PINS))
    return ""


def ask(script: str, *args: str) -> dict | str:
    """The JSON line that a peer's script prints, or why there is none."""
    path = SCRIPTS / script
    if not path.exists():
        return f"no {script} in ../shared/bench"
    problem = build()
    if problem:
        return f"peer absent: {problem}"
    command = [str(ENVIRONMENT / "bin" / "python"), str(path), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        return f"peer failed: {(done.stderr.strip().splitlines() or ['no message'])[-1][:200]}"
    return json.loads(done.stdout.strip().splitlines()[-1])
