"""The oath: a run is the same to the last bit with and without a watch."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from tests.watch.loops import LOOPS, is_same, run
from torch.nn.modules import module as torch_module

from unvanish.core.runs import EventKind
from unvanish.watch import observe


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("name", LOOPS)
def test_a_watched_run_is_the_same_to_the_last_bit(name, every):
    loop = LOOPS[name]
    alone = run(loop, lambda *_: nullcontext())
    watches = []

    def watching(model, optimizer):
        watches.append(observe(model, optimizer, every=every))
        return watches[-1]

    watched = run(loop, watching)
    assert len(alone) == len(watched)
    different = [place for place, pair in enumerate(zip(alone, watched, strict=True))
                 if not is_same(*pair)]  # fmt: skip
    assert different == []
    recording = watches[0].recording
    failed = [e.text for e in recording.events if e.kind is EventKind.NOT_MEASURED]
    assert failed == []
    assert recording.by_layer


def test_nothing_is_left_behind():
    before = torch.autograd.backward, torch.amp.GradScaler.scale, torch.amp.GradScaler.step
    run(LOOPS["plain"], lambda model, optimizer: observe(model, optimizer, every=1))
    assert before == (
        torch.autograd.backward,
        torch.amp.GradScaler.scale,
        torch.amp.GradScaler.step,
    )
    assert not torch_module._has_any_global_hook()
    assert torch.overrides._get_current_function_mode() is None


def test_a_loop_that_raises_leaves_nothing_behind():
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    backward = torch.autograd.backward
    watch = observe(model, optimizer)

    def loop():
        with watch:
            model(torch.ones(1, 2)).sum().backward()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError, match="division"):
        loop()
    assert torch.autograd.backward is backward
    assert not torch_module._has_any_global_hook()
    assert not optimizer._optimizer_step_pre_hooks
    recording = watch.recording
    assert not recording.is_ended
    assert recording.last_step == 0
    assert [e.kind for e in recording.events] == [EventKind.STOPPED]


def test_the_comparison_can_tell_a_bit():
    assert not is_same(torch.tensor(0.0), torch.tensor(-0.0))
    assert is_same(torch.tensor(float("nan")), torch.tensor(float("nan")))
