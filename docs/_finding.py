"""One finding at each stage between batch and terminal; ARCHITECTURE.md shows the output."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import torch

import unvanish
from unvanish import Quantity

NET = Path(__file__).parent / "examples" / "net.py"


@cache
def report() -> unvanish.Report:
    """Check the example network once, as `unvanish check` does."""
    torch.set_num_threads(1)
    return unvanish.checkup(str(NET))


def sites() -> None:
    """Print what the tap leaves behind at the first and the last sigmoid sites."""
    look = report().recording
    grads = look[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    slopes = look[Quantity.SLOPE_RMS]
    activations = [site for site in look.signal_sites() if site.op == "sigmoid"]
    print("step              source     slope_rms  log10 dL/dh")
    for site in (*activations[:2], None, *activations[-2:]):
        if site is None:
            print("…")
            continue
        where = f"{Path(site.source.file).name}:{site.source.line}" if site.source else ""
        slope, grad = slopes.get(site), grads.get(site)
        step = f"{site.op}, call {site.call + 1}"
        print(f"{step:17} {where:10} {slope:9.3f} {grad:12.1f}")


def verdict() -> None:
    """Print every rule's verdict."""
    diagnosis = report().diagnosis
    for code, given in diagnosis.verdicts.items():
        print(f"{code} {diagnosis.names.get(code, ''):24} {given.kind}")


def finding() -> None:
    """Print the fields of the first finding."""
    found = report().diagnosis.findings[0]
    print(f"code      {found.code} {found.name} ({found.severity})")
    print(f"message   {found.message}")
    for name in ("measured", "expected", "limit"):
        value = getattr(found, name)
        if not math.isnan(value):
            print(f"{name:9} {value:.3g} {found.unit}")
    print(f"causes    {', '.join(found.causes)}")
