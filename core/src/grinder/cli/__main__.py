"""``python -m grinder.cli`` is ``grinder``."""

from __future__ import annotations

from grinder.cli.main import main

if __name__ == "__main__":
    main()
