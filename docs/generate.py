"""Writes the pages of the reference that are made from the code.

``python docs/generate.py`` writes them; with ``--check`` it only names those that are not current and ends with 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from generator import (
    api,
    commands,
    conformance,
    environment,
    errors,
    hooks,
    metrics,
    plugins,
    reasons,
    settings,
    testing,
)

REFERENCE = Path(__file__).with_name("reference")
PAGES = {
    "api.md": api.build,
    "command-line.md": commands.build,
    "conformance.md": conformance.build,
    "environment.md": environment.build,
    "errors.md": errors.build,
    "hooks.md": hooks.build,
    "metrics.md": metrics.build,
    "plugins.md": plugins.build,
    "reasons.md": reasons.build,
    "settings.md": settings.build,
    "testing.md": testing.build,
}


def stale() -> list[str]:
    """Names of the pages that are not what the code says now."""
    return [name for name, build in PAGES.items() if _read(REFERENCE / name) != build()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> int:
    """Write, or check; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="Write nothing; name the pages that are not current.")
    if parser.parse_args().check:
        names = stale()
        for name in names:
            sys.stdout.write(f"docs/reference/{name} is not current; run: python docs/generate.py\n")
        return bool(names)
    for name, build in PAGES.items():
        (REFERENCE / name).write_text(build(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
