"""Compilation is known process-wide: what another test compiled is forgotten before each one."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def nothing_is_compiled():
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is not None:
        dynamo.reset()
