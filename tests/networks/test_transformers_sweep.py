"""Networks of `transformers` with random weights are healthy: no check may say otherwise.

Every model type that can be built without a download is built tiny, with one or two heads. Nothing
above a note may be found, except what `KNOWN` lists with its reason. The false alarms that are
left stand in `FALSE_ALARMS`, and are expected to fail.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from tests.networks.transformers_exceptions import FALSE_ALARMS, KNOWN, SKIPPED
from tests.networks.transformers_zoo import architectures, build

import unvanish
from unvanish.core.findings import Severity

ARCHITECTURES = architectures()
SECONDS = 120


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Fail after so many seconds, where the platform has an alarm."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def out_of_time(*_: object) -> None:
        pytest.fail(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _marks(name: str) -> list[pytest.MarkDecorator]:
    if name in SKIPPED:
        return [pytest.mark.skip(SKIPPED[name])]
    if name in FALSE_ALARMS:  # a rule that learns better may cure several at once
        return [pytest.mark.xfail(reason=FALSE_ALARMS[name], strict=False)]
    return []


# What the libraries warn of while they build and run is theirs.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=_marks(name)) for name in ARCHITECTURES],
)
def test_a_tiny_transformer_is_left_in_peace(name: str) -> None:
    torch.set_num_threads(1)
    with _at_most(SECONDS):
        network = build(ARCHITECTURES[name])
        report = unvanish.checkup(network.model, network.batch, loss=network.loss)
        assert str(report)
        assert abs(report.explain().residue) < 1e-9
    loud = [finding for finding in report.findings if finding.severity is not Severity.NOTE]
    unknown = [finding for finding in loud if finding.code not in KNOWN.get(name, {})]
    assert not unknown, "\n".join(f"{f.code} {f.severity}: {f.message}" for f in unknown)


def test_the_sweep_is_as_wide_as_it_says() -> None:
    run = [architecture for name, architecture in ARCHITECTURES.items() if name not in SKIPPED]
    assert len(run) >= 380
    assert len({architecture.model_type for architecture in run}) >= 380


def test_the_tables_name_no_architecture_that_is_not_there() -> None:
    assert not (SKIPPED.keys() | KNOWN.keys() | FALSE_ALARMS.keys()) - ARCHITECTURES.keys()
