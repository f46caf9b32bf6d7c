"""The observer's oath: measuring changes nothing, bit for bit, on every patient."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from tests.observe.patients import PATIENTS, Patient
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks

from unvanish.core.errors import UnvanishError
from unvanish.observe import trace
from unvanish.observe.guard import is_lazy, untouched


def bits(value: Any) -> Any:
    """Reduce any state to something that compares bit for bit."""
    if isinstance(value, Tensor):
        if isinstance(value, nn.parameter.UninitializedTensorMixin):
            return ("lazy", type(value).__name__)
        data = value.detach()
        if data.layout is not torch.strided:
            data = data.coalesce().values()
        data = torch.view_as_real(data) if data.is_complex() else data
        return (tuple(data.shape), str(data.dtype), data.contiguous().view(-1).tolist())
    if isinstance(value, dict):
        return {str(k): bits(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(v) for v in value]
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, (int, float, str, bool, type(None))):
        return value
    return id(value)


def state_of(model: nn.Module) -> dict[str, Any]:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return (
        {
            f"{path}.{key}": bits(value)
            for path, module in model.named_modules()
            for key, value in module.__dict__.items()
            if key != "_modules"
        }
        | {f"grad {name}": bits(p.grad) for name, p in model.named_parameters()}
        | {
            f"flags {name}": (id(t), t.requires_grad, t._version)
            for name, t in tensors
            if not is_lazy(t)
        }
    )


def generators() -> tuple[Any, ...]:
    return (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist())


def global_hooks() -> list[int]:
    return [
        len(hooks)
        for name, hooks in sorted(vars(module_hooks).items())
        if name.startswith("_global_") and isinstance(hooks, dict)
    ]


def flags() -> tuple[Any, ...]:
    return (
        torch.is_grad_enabled(),
        torch._C._get_mkldnn_enabled(),
        torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.math_sdp_enabled(),
        torch.utils.checkpoint.CheckpointFunction.__name__,
        torch.overrides._len_torch_function_stack()
        if hasattr(torch.overrides, "_len_torch_function_stack")
        else torch._C._len_torch_function_stack(),
    )


@pytest.mark.parametrize("name", PATIENTS)
def test_tracing_changes_nothing(name: str) -> None:
    model, batch, options = PATIENTS[name]()
    if not name.startswith(("lazy", "sparse")):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.25)
    before = state_of(model), generators(), global_hooks(), flags(), bits(batch)
    trace(model, batch, **options)
    after = state_of(model), generators(), global_hooks(), flags(), bits(batch)
    for was, now in zip(before, after, strict=True):
        assert was == now


def train(patient: Patient, *, look: bool) -> list[Any]:
    model, batch, options = patient
    torch.manual_seed(7)
    loss = options.get("loss")
    from unvanish.observe.batch import as_batch, call_model, map_tensors
    from unvanish.observe.loss import compute_loss
    from unvanish.observe.optimizer import build_optimizer

    one = as_batch(batch, model)
    call_model(model, map_tensors(one.inputs, lambda t: t.clone()))  # lazy layers wake up
    optimizer = build_optimizer(options.get("optimizer"), model)
    trajectory = []
    for _ in range(3):
        if look:
            trace(model, batch, **{**options, "optimizer": optimizer})
        optimizer.zero_grad()
        output = call_model(model, map_tensors(one.inputs, lambda t: t.clone()))
        value, _, _ = compute_loss(loss, output, one)
        value.backward()
        trajectory.append(bits(value))
        trajectory.append([bits(p.grad) for p in model.parameters()])
        optimizer.step()
    trajectory.append([bits(p) for p in model.parameters()])
    trajectory.append([bits(b) for b in model.buffers()])
    return trajectory


@pytest.mark.parametrize("name", [n for n in PATIENTS if "compiled" not in n])
def test_training_takes_the_same_course_with_and_without(name: str) -> None:
    plain = PATIENTS[name]
    torch.manual_seed(1)
    without = train(plain(), look=False)
    torch.manual_seed(1)
    with_looks = train(plain(), look=True)
    assert without == with_looks


def test_the_course_test_can_fail() -> None:
    model = nn.Linear(2, 2)
    before = state_of(model)
    model.weight.data[0, 0] += 1e-7
    assert state_of(model) != before


class _Raises(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = self.body(x)
        raise RuntimeError("midway")


def test_a_model_that_raises_midway_leaves_no_hook_and_no_change() -> None:
    model, batch = _Raises(), (torch.randn(3, 4), torch.randn(3, 4))
    before = state_of(model), generators(), global_hooks(), flags()
    with pytest.raises(UnvanishError, match="the forward pass raised RuntimeError: midway"):
        trace(model, batch)
    assert (state_of(model), generators(), global_hooks(), flags()) == before


def test_the_guard_restores_data_that_was_written_behind_autograds_back() -> None:
    model = nn.Linear(3, 3)
    kept = copy.deepcopy(model.state_dict())
    with untouched(model, seed=0):
        model.weight.data.mul_(2)
        model.bias.data = torch.zeros(3)
        model.extra = 1
        model.train(mode=False)
    assert not hasattr(model, "extra")
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, kept[name])


def test_a_look_in_inference_mode_is_a_look_like_any_other() -> None:
    model, (x, y) = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), _classes()
    with torch.inference_mode():
        inside = trace(model, (x.clone(), y.clone()))
        assert torch.is_inference_mode_enabled()
    assert all(p.has_grad for p in inside.parameters)
    assert not inside.gaps
    assert not any(p.is_inference() for p in model.parameters())


def test_a_model_built_in_inference_mode_is_looked_at_on_a_copy() -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    recording = trace(model, _classes())
    assert all(p.has_grad for p in recording.parameters)
    assert any("inference mode" in sentence for sentence in recording.context.inferred)
    assert all(p.is_inference() for p in model.parameters())


def test_a_graph_that_the_user_keeps_can_still_be_walked() -> None:
    model, batch = nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 4)), nn.Tanh()), _classes()
    loss = model(batch[0]).sum()
    trace(model, batch)
    loss.backward()
    assert model[0].weight_orig.grad is not None


def _classes() -> tuple[Tensor, Tensor]:
    return torch.randn(16, 4), torch.randint(0, 3, (16,))
