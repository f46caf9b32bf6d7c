"""One finding at each stage between batch and terminal; ARCHITECTURE.md shows the output."""

from __future__ import annotations

import math
import runpy
from functools import cache
from pathlib import Path

import torch
from torch import nn

import unvanish
from unvanish import Quantity

NET = Path(__file__).parent / "examples" / "net.py"


@cache
def recording() -> unvanish.Recording:
    """Look at the example network once."""
    torch.manual_seed(0)
    example = runpy.run_path(str(NET))
    batch = next(iter(example["data"]()))
    return unvanish.trace(
        example["model"](), batch, nn.functional.cross_entropy, data=example["data"]()
    )


def sites() -> None:
    """Print what the tap leaves behind at the first and the last sigmoid sites."""
    look = recording()
    grads = look[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    slopes = look[Quantity.SLOPE_RMS]
    activations = [site for site in look.signal_sites() if site.op == "sigmoid"]
    print("site                 source                     slope_rms  log10 dL/dh")
    for site in (*activations[:2], None, *activations[-2:]):
        if site is None:
            print("…")
            continue
        where = f"{Path(site.source.file).name}:{site.source.line}" if site.source else ""
        slope, grad = slopes.get(site), grads.get(site)
        print(f"{site.name:20} {where:26} {slope:9.3f} {grad:12.1f}")


def verdict() -> None:
    """Print every rule's verdict."""
    diagnosis = unvanish.diagnose(recording())
    for code, given in diagnosis.verdicts.items():
        print(f"{code} {diagnosis.names.get(code, ''):24} {given.kind}")


def finding() -> None:
    """Print the fields of the first finding."""
    found = unvanish.diagnose(recording()).findings[0]
    print(f"code      {found.code} {found.name} ({found.severity})")
    print(f"message   {found.message}")
    for name in ("measured", "expected", "limit"):
        value = getattr(found, name)
        if not math.isnan(value):
            print(f"{name:9} {value:.3g} {found.unit}")
    print(f"causes    {', '.join(found.causes)}")
