"""One look: a forward pass on the tape, a backward pass from the loss, one from the output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.places import SourceLine
from unvanish.observe.backward import Gradients, run_backward
from unvanish.observe.batch import Batch, call_model, map_tensors, own_loss, tensors_in
from unvanish.observe.extended import run_extended_backward
from unvanish.observe.failures import backward_explained, explained
from unvanish.observe.forward import ForwardTape
from unvanish.observe.graph import Graph, build_graph
from unvanish.observe.guard import seed_everything
from unvanish.observe.local import LocalFactors
from unvanish.observe.loss import LossFunction, compute_loss, refuse_backward
from unvanish.observe.opaque import in_the_open
from unvanish.observe.recurrence import probe_last_steps, recurrences
from unvanish.observe.standing import sample_counts, standing_tensors
from unvanish.observe.widening import widened


@dataclass(slots=True)
class Look:
    """Everything one look brought, still with tensors.

    Attributes:
        tape: The noted forward pass.
        graph: Sites and links.
        loss: The loss, attached to its graph.
        loss_name: Its name.
        said: A sentence for what was inferred, or empty.
        outputs: The network's final outputs that the loss depends on.
        gradients: From the loss.
        probe: From random signs at the outputs; None where no output was visible.
        last_step: Node index of each call of a recurrence to log10 gradient norm from its last
            call alone.
        batch_size: Samples in the batch.
        samples: Samples that a step before the batch chooses among computes with: those of the
            data that stands in the network where that was declared, else those in the batch.
    """

    tape: ForwardTape
    graph: Graph
    loss: Tensor
    loss_name: str
    said: str
    outputs: list[Tensor]
    batch_size: int
    samples: int
    gradients: Gradients = field(default_factory=Gradients)
    probe: Gradients | None = None
    last_step: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What every look of one trace shares.

    Attributes:
        loss: Callable, name, or None to infer.
        seed: Seed before each forward pass, so that dropout is the same in every look.
        autocast: ``"bfloat16"``, ``"float16"`` or empty.
        built: Module to the line that built it.
        standing: Names of the tensors that count as data although they do not come with the
            batch but stand in the network, as `standing_tensors` gives them.
    """

    loss: LossFunction | str | None
    seed: int
    autocast: str
    built: Mapping[nn.Module, SourceLine]
    standing: frozenset[str] = frozenset()


@contextmanager
def running(conditions: Conditions, device: torch.device) -> Iterator[None]:
    """Run a block with gradients enabled and under the user's autocast."""
    autocast: Any = nullcontext()
    if conditions.autocast:
        dtype = getattr(torch, conditions.autocast)
        autocast = torch.autocast(device.type, dtype=dtype)
    with torch.enable_grad(), autocast:
        yield


def look_forward(
    model: nn.Module, batch: Batch, conditions: Conditions, *, measuring: bool = True
) -> Look:
    """Run the model and the loss on one batch under the tape; no backward pass yet.

    Args:
        model: Left in whatever state its own forward pass leaves it; guard it outside.
        batch: The batch.
        conditions: Loss, seed, autocast.
        measuring: Whether to read numbers and lines on the way, not only which node is which.

    Raises:
        BatchError: If the batch does not fit the model or there is no loss.
    """
    seed_everything(conditions.seed)
    batch = Batch(
        map_tensors(batch.inputs, lambda t: t.detach().clone().requires_grad_(t.requires_grad)),
        batch.target,
    )
    standing = standing_tensors(model, conditions.standing) if conditions.standing else {}
    counts = sample_counts(standing.values())
    tape = ForwardTape(
        model,
        batch_size=batch.size,
        built=conditions.built,
        measuring=measuring,
        counts=frozenset(counts),
    )
    for tensor in (*tensors_in((batch.inputs, batch.target)), *standing.values()):
        tape.lineage.add_input(tensor)
    tape.lineage.targets.update(
        piece
        for tensor in tensors_in(batch.target)
        if (piece := tape.lineage.piece_of_data(tensor)) is not None
    )
    tape.data.begin(batch, standing)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with explained(tape), running(conditions, device), in_the_open(), tape:
        output = call_model(model, batch.inputs)
        loss, name, said = compute_loss(conditions.loss, output, batch)
        refuse_backward(loss, tape.backwards)
    outputs = _outputs(output, own_loss(output), loss)
    graph = build_graph(tape, loss, outputs, _names(model))
    return Look(
        tape=tape,
        graph=graph,
        loss=loss,
        loss_name=name,
        said=said,
        outputs=_final(outputs, graph),
        batch_size=batch.size,
        samples=max(counts, key=counts.count) if counts else batch.size,
    )


def look(
    model: nn.Module,
    batch: Batch,
    conditions: Conditions,
    *,
    probes: bool = True,
    factors: bool = False,
) -> Look:
    """Look once: forward, backward from the loss, and from random signs at the output.

    Args:
        model: Left in whatever state its own forward pass leaves it; guard it outside.
        batch: The batch.
        conditions: Loss, seed, autocast.
        probes: Whether to run the passes from the output and the last time step too.
        factors: Whether to read what each step of the loss's backward pass consists of.
    """
    seen = look_forward(model, batch, conditions)
    wanted = trainable(model)
    if seen.loss.grad_fn is None or not wanted:
        return seen
    with backward_explained(seen.graph):
        local = LocalFactors(seen.graph, seen.samples) if factors else None
        seen.gradients = run_backward(seen.graph, [seen.loss], None, wanted, local=local)
    seen.outputs = _reached(seen.outputs, seen)
    if probes and seen.outputs:
        seen.probe = run_backward(
            seen.graph,
            seen.outputs,
            _signs(seen.outputs),
            _cheapest(seen, wanted),
            keep=False,
            rank_of=seen.samples,
        )
    if probes:
        seen.last_step = probe_last_steps(seen.graph, recurrences(seen.graph))
    return seen


def look_extended(model: nn.Module, batch: Batch, conditions: Conditions) -> Look:
    """Look once with gradients that cannot underflow.

    Args:
        model: A float64 copy of the model.
        batch: The batch, in float64 where it is floating.
        conditions: Loss and seed; autocast should be off.
    """
    with widened():
        seen = look_forward(model, batch, conditions)
    return extend(seen, model)


def extend(seen: Look, model: nn.Module) -> Look:
    """Repeat the backward passes of a look with exponents kept, on the graph it has.

    Args:
        seen: A look whose forward pass was made.
        model: The model that was looked at.

    Returns:
        The same look with gradients of its own.
    """
    wanted = frozenset(trainable(model))
    if seen.loss.grad_fn is None:
        return seen
    one = torch.ones_like(seen.loss)
    with in_the_open():
        local = LocalFactors(seen.graph, seen.samples)
        gradients = run_extended_backward(
            seen.graph, [seen.loss], [one], wanted=wanted, local=local
        )
    deep = replace(seen, gradients=gradients, probe=None, last_step={})
    deep.outputs = _reached(seen.outputs, deep)
    if deep.outputs:
        signs = _signs(deep.outputs)
        deep.probe = run_extended_backward(
            deep.graph, deep.outputs, signs, wanted=frozenset(), rank_of=seen.samples
        )
    return deep


def trainable(model: nn.Module) -> dict[str, Tensor]:
    """Return name to parameter, for those that want a gradient."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _cheapest(seen: Look, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Pick the smallest parameter of every site: the engine then skips the others' gradients.

    All activations before a bias still get theirs, which is all a probe asks for.
    """
    picked = set()
    for site in seen.graph.sites:
        names = [name for name in site.weights if name in wanted]
        if names:
            picked.add(min(names, key=lambda name: wanted[name].numel()))
    return {name: p for name, p in wanted.items() if name in picked} or wanted


def _names(model: nn.Module) -> dict[int, str]:
    names: dict[int, str] = {}
    for name, parameter in model.named_parameters():
        names.setdefault(id(parameter), name)
    return names


def _outputs(output: Any, own: Tensor | None, loss: Tensor) -> list[Tensor]:
    """Differentiable tensors of an output, without the loss the model computed itself."""
    unique: dict[int, Tensor] = {}
    for tensor in tensors_in(output):
        if tensor is own or tensor is loss or tensor.grad_fn is None or tensor.ndim == 0:
            continue
        unique[id(tensor)] = tensor
    return list(unique.values())


def _final(outputs: list[Tensor], graph: Graph) -> list[Tensor]:
    """Drop outputs that other outputs are computed from, such as hidden states."""
    if len(outputs) < 2:
        return outputs
    behind = [False] * len(graph.notes)
    is_output = [False] * len(graph.notes)
    for tensor in outputs:
        is_output[graph.index[tensor.grad_fn]] = True
    for i in range(len(graph.notes) - 1, -1, -1):
        if behind[i] or is_output[i]:
            for link in graph.links[i]:
                if link.producer is not None:
                    behind[link.producer] = True
    return [t for t in outputs if not behind[graph.index[t.grad_fn]]]


def _reached(outputs: list[Tensor], seen: Look) -> list[Tensor]:
    """Keep the outputs that the loss depends on."""
    arrived = seen.gradients.log10_norms
    return [t for t in outputs if seen.graph.index[t.grad_fn] in arrived]


def _signs(outputs: list[Tensor]) -> list[Tensor]:
    """Draw a random sign for every entry of every output."""
    return [
        torch.randint(0, 2, t.shape, device=t.device).mul_(2).sub_(1).to(t.dtype) for t in outputs
    ]
