"""Draw what `unvanish demo` prints, for the first screen of the README."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch
from rich.text import Text

from unvanish.curing import cure
from unvanish.curing.report import text_of
from unvanish.show.picture import draw
from unvanish.zoo.patient import patient_of

if __name__ == "__main__":
    torch.set_num_threads(1)
    found = cure("zoo:deep_sigmoid", steps=patient_of("deep_sigmoid").steps, resume=False)
    steady = replace(found.before, context=replace(found.before.context, seconds=1.0))
    text = text_of(replace(found, before=steady), width=80, color=True)
    lines = [Text.from_ansi(line) for line in text.rstrip("\n").split("\n")]
    plain = [re.sub(r"\s+", " ", line.plain).strip() for line in lines]
    assert any(line.startswith("cured") for line in plain), "the demo is no cure any more"
    svg = draw(lines, width=80, title="unvanish demo")
    Path(__file__).with_name("demo.svg").write_text(svg, encoding="utf-8")
