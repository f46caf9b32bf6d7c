"""Draw what `unvanish demo` prints, for the first screen of the README."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

import unvanish
from unvanish.show.picture import picture

if __name__ == "__main__":
    torch.set_num_threads(1)
    report = unvanish.checkup("zoo:deep_sigmoid")
    steady = replace(report.recording, context=replace(report.recording.context, seconds=1.0))
    svg = picture(
        steady, report.diagnosis, target=report.target, title="unvanish demo", exit_code=1
    )
    Path(__file__).with_name("demo.svg").write_text(svg, encoding="utf-8")
