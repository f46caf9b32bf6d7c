"""Every patient is a recipe that stands alone, and is as sick or as healthy as it says."""

from __future__ import annotations

import ast
import inspect
import itertools
import math
import re
import socket
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.observe.batch import as_batch, call_model, tensors_in
from unvanish.recipe import load, seeded
from unvanish.zoo.patient import Patient, module_of, patient_of, patients
from unvanish.zoo.training import begin, train

NAMES = patients()
SICK = [name for name in NAMES if patient_of(name).is_sick]
REMEDIES = {
    "cured",
    "cured_data",
    "cured_loss",
    "cured_optimizer",
    "CURED_CLIP_GRAD_NORM",
    "CURED_AUTOCAST",
}

pytestmark = pytest.mark.filterwarnings(
    "ignore:None of the inputs have requires_grad=True"  # what a reentrant checkpoint says
)


@pytest.mark.parametrize("name", NAMES)
def test_says_what_is_known_about_it(name: str) -> None:
    module, patient = module_of(name), patient_of(name)
    assert isinstance(patient, Patient)
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
    assert patient.family
    assert patient.steps > 0
    assert isinstance(module.GOAL, float)
    assert math.isfinite(module.GOAL)
    assert isinstance(module.HIGHER_IS_BETTER, bool)
    assert (module.__doc__ or "").partition("\n")[0].endswith((".", ":", ","))
    assert all(re.fullmatch(r"UV\d{3}", code) for code in (*patient.codes, *patient.also))
    assert not set(patient.codes) & set(patient.also)
    remedies = REMEDIES & set(vars(module))
    if patient.is_sick:
        assert isinstance(patient.cause, Cause)
        assert patient.cure
        assert remedies
    else:
        assert patient.cause is None
        assert not patient.cure
        assert not patient.also
        assert not remedies


@pytest.mark.parametrize("name", NAMES)
def test_variants_build(name: str) -> None:
    module, patient = module_of(name), patient_of(name)
    builders = [module.model, *([module.cured] if hasattr(module, "cured") else [])]
    for build in builders:
        accepted = inspect.signature(build).parameters
        assert all(p.default is not p.empty for p in accepted.values())
        assert set(patient.variants) <= set(accepted)
    for argument, values in patient.variants.items():
        assert values
        default = inspect.signature(module.model).parameters[argument].default
        assert default not in values
        for build, value in itertools.product(builders, values):
            with seeded(0):
                net = build(**{argument: value})
            assert any(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_one_batch_gives_a_loss(name: str) -> None:
    patient = patient_of(name)
    for cured in (False, True) if patient.is_sick else (False,):
        with seeded(0):
            trial = begin(name, cured=cured)
            loss = trial.forward(next(trial.batches()))
        assert loss.numel() == 1
        if cured or not patient.is_sick:
            assert math.isfinite(float(loss.detach()))
            assert loss.grad_fn is not None


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name: str) -> None:
    module = module_of(name)
    assert _state(module) == _state(module)


def _state(module: ModuleType) -> list[bytes]:
    """Return the bytes of the weights, the first batches and the outputs at seed 3."""
    with seeded(3):
        model: nn.Module = module.model()
        tensors: list[Tensor] = [*model.parameters(), *model.buffers()]
        for raw in itertools.islice(module.data(3), 2):
            batch = as_batch(raw, model)
            output = call_model(model, batch.inputs)
            tensors += tensors_in((batch.inputs, batch.target, output))
    return [t.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes() for t in tensors]


@pytest.mark.parametrize("name", NAMES)
def test_is_a_target(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a patient opened a socket")

    monkeypatch.setattr(socket, "socket", refused)
    recipe = load(f"zoo:{name}", seed=0)
    assert recipe.goal is not None
    assert recipe.metric is not None
    assert recipe.optimizer is not None
    assert recipe.loss is not None or patient_of(name).family == "transformer"
    assert not recipe.inferred


_MODULES = {"__future__", "collections", "contextlib", "copy", "dataclasses", "functools"} | {
    *("itertools", "math", "random", "typing", "torch", "unvanish")
}
_CALLS = {"open", "load", "save", "urlopen", "print", "exec", "eval", "load_state_dict_from_url"}


def reaches_out(source: str) -> set[str]:
    """Return the modules and calls in a patient's source that it has no business with."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {a.name.partition(".")[0] for a in node.names} - _MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0]} - _MODULES
        elif isinstance(node, ast.Call):
            word = getattr(node.func, "id", getattr(node.func, "attr", ""))
            found |= {word} & _CALLS
    return found


@pytest.mark.parametrize("name", NAMES)
def test_needs_no_file_and_no_network(name: str) -> None:
    assert not reaches_out(inspect.getsource(module_of(name)))


@pytest.mark.parametrize(
    "source",
    ["import requests", "from urllib.request import urlopen", "open('x')", "torch.load('x.pt')"],
)
def test_reaching_out_is_seen(source: str) -> None:
    assert reaches_out(source)


def test_there_are_enough_of_both() -> None:
    assert len(SICK) >= 45
    assert len(NAMES) - len(SICK) >= 35


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_trains_as_it_says(name: str) -> None:
    torch.set_num_threads(1)
    patient = patient_of(name)
    outcome = train(name, seed=0)
    assert outcome.reached is not patient.is_sick, outcome
    if patient.is_sick:
        outcome = train(name, cured=True, seed=0)
        assert outcome.reached, outcome
