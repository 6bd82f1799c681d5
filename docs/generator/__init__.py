"""Makes the reference pages from the code, one module for each page."""

from __future__ import annotations
