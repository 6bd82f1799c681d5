"""What a run leaves behind: records of decisions and fills, a summary, explanations, a report."""

from __future__ import annotations
