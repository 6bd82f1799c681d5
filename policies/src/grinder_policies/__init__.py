"""Policies of grinder: what follows from the gates' verdicts.

The entry point ``standard`` of the group ``grinder.policies`` names this module. A policy module has the functions
``admission``, ``size`` and ``route`` with the signatures that these have.
"""

from __future__ import annotations

from grinder_policies.admission import admission
from grinder_policies.routing import route, vote
from grinder_policies.sizing import size

GRINDER_API = ">=1.0,<2"

__all__ = ["admission", "route", "size", "vote"]
