"""The oath on the patients of the zoo: some in the fast tests, all in the slow ones."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from tests.watch.loops import Trail, is_same

from unvanish.core.glossary import LayerQuantity
from unvanish.core.runs import EventKind
from unvanish.recipe import seeded
from unvanish.watch import observe
from unvanish.zoo.patient import patients
from unvanish.zoo.training import begin

_SAMPLE = tuple(sorted(patients()))[::12]


def trained(name: str, watching: Any, steps: int) -> list[Any]:
    """Train a patient for a few steps and return all that can be noticed of it."""
    with seeded(0):
        trial = begin(name)
        trail = Trail(watching)
        context: AbstractContextManager[Any] = watching(trial.model, trial.optimizer)
        with context:
            for number, batch in enumerate(trial.batches()):
                if number == steps:
                    break
                loss = trial.forward(batch)
                trial.backward(loss)
                trial.update()
                trail.note(loss)
        trail.note_all(trial.model)
        trail.note_generators()
    return trail.numbers


def check(name: str, steps: int) -> None:
    trained(name, lambda *_: nullcontext(), 1)  # a library draws a number when it is imported
    alone = trained(name, lambda *_: nullcontext(), steps)
    watches = []

    def watching(model: Any, optimizer: Any) -> Any:
        watches.append(observe(model, optimizer, every=1))
        return watches[-1]

    watched = trained(name, watching, steps)
    pairs = zip(alone, watched, strict=True)
    assert [place for place, pair in enumerate(pairs) if not is_same(*pair)] == []
    recording = watches[0].recording
    assert [e.text for e in recording.events if e.kind is EventKind.NOT_MEASURED] == []
    assert recording.last_step == steps - 1
    assert LayerQuantity.LOG10_PARAM_GRAD_RMS in recording.by_layer


@pytest.mark.parametrize("name", _SAMPLE)
def test_a_patient_trains_the_same(name: str) -> None:
    check(name, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", patients())
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_every_patient_trains_the_same(name: str) -> None:
    check(name, 6)
