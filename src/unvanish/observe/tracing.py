"""One command's worth of looking: probe batches, both probes, a few steps on a copy."""

from __future__ import annotations

import copy
import gc
import logging
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import nn

from unvanish.core.conditions import LossTerm, RunContext
from unvanish.core.errors import BatchError, UnvanishError
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Gap
from unvanish.core.places import SourceLine
from unvanish.core.records import Recording
from unvanish.observe.batch import (
    Batch,
    as_batch,
    call_model,
    left_out,
    map_tensors,
    tensors_in,
)
from unvanish.observe.codes import lookups
from unvanish.observe.context import common_dtype, leaf_modules, unseen, versions
from unvanish.observe.copies import copied
from unvanish.observe.crossing import read_crossing
from unvanish.observe.data import data_records
from unvanish.observe.deeper import first_line, grad_dtype, look_deeper
from unvanish.observe.failures import (
    forward_explained,
    is_out_of_memory,
    out_of_memory,
    own_faults_told,
)
from unvanish.observe.guard import is_lazy, untouched
from unvanish.observe.learning import try_to_learn
from unvanish.observe.look import Conditions, Look, look
from unvanish.observe.loss import LossFunction
from unvanish.observe.measure import (
    cuts,
    forward_profiles,
    gradient_profiles,
    ledger_profiles,
    parameter_records,
)
from unvanish.observe.noise import gradient_noise
from unvanish.observe.optimizer import (
    OptimizerLike,
    Update,
    build_optimizer,
    describe,
    follow,
    held_names,
)
from unvanish.observe.rates import try_other_rate
from unvanish.observe.running_statistics import RunningReader
from unvanish.observe.scan import first_without_numbers
from unvanish.observe.standing import data_that_stands, said_of, standing_tensors
from unvanish.observe.steps import take_steps
from unvanish.observe.strays import strays
from unvanish.observe.stuck import stuck_outputs
from unvanish.observe.terms import read_terms, try_terms
from unvanish.observe.truncation import truncations

_log = logging.getLogger(__name__)


def trace(
    model: nn.Module,
    batch: Any,
    loss: LossFunction | str | None = None,
    *,
    optimizer: OptimizerLike = None,
    data: Iterable[Any] | None = None,
    batches: int = 3,
    probe_steps: int = 3,
    seed: int = 0,
    autocast: str = "",
    clip_grad_norm: float | None = None,
    built: Mapping[nn.Module, SourceLine] | None = None,
) -> Recording:
    """Look at a network on a few batches and leave it, bit for bit, as it was.

    Args:
        model: The network, in the mode and on the device it would be trained in.
        batch: ``(inputs, target)``, a mapping of keyword arguments, or a tensor. Inputs
            may be a tensor, a tuple of several, or a mapping.
        loss: ``loss(output, target)``, a name from `torch.nn.functional`, or None: the
            model's own loss, or one inferred from output and target.
        optimizer: The user's optimiser, a factory ``optimizer(model)``, or None for AdamW
            with learning rate 1e-3.
        data: Further batches; the first of them are used as additional probes.
        batches: Probe batches in all, at least 1.
        probe_steps: Optimiser steps on a copy before a second look; 0 takes none.
        seed: Seed of every random generator, before every look. At least 0.
        autocast: ``"bfloat16"`` or ``"float16"`` to run the probes under autocast.
        clip_grad_norm: Largest total gradient norm, where the user clips by norm.
        built: Module to the line that built it, where it was recorded.

    Returns:
        The recording.

    Raises:
        BatchError: If batch, model and loss do not fit each other.
        CouldNotMeasureError: If memory runs out.
        OwnFaultError: If `unvanish` itself fails.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())
        >>> recording = trace(model, (torch.randn(16, 4), torch.randn(16, 8)))
        >>> [site.op for site in recording.signal_sites()]
        ['linear', 'relu']
    """
    _check_arguments(model, batches, probe_steps, autocast)
    started = time.perf_counter()
    said: list[str] = []
    gaps: list[Gap] = []
    model = original = _eager(model)
    with (
        own_faults_told(),
        torch.inference_mode(mode=False),
        _eager_stance(),
        _without_collector(),
        untouched(model, seed=seed) as snapshot,
    ):
        first = _ordinary(as_batch(batch, model))
        said += filter(None, [left_out(batch, first)])
        model = _materialised(_ordinary_model(model, said), first, said)
        optimizer = follow(optimizer, original, model) if model is not original else optimizer
        probe_batches = _probe_batches(first, data, batches, model, gaps)
        conditions = Conditions(loss, seed, autocast, built or {})
        kept = RunningReader(model)
        try:
            looks: list[Look] = []
            terms: tuple[LossTerm, ...] = ()
            for one in probe_batches:
                looks.append(look(model, one, conditions, factors=not looks))
                kept.note()
                if one is first:
                    terms = read_terms(looks[0], model)
                snapshot.restore()  # every look starts from the same buffers
                if one is first and (names := _standing(looks[0], model)):
                    said.append(said_of(names, model))
                    conditions = replace(conditions, standing=names)
                    looks = [look(model, one, conditions, factors=True)]
                    terms = read_terms(looks[0], model)
                    snapshot.restore()
            bad = None
            if data is not None and batches > 1:
                bad = first_without_numbers(model, first, data, looks[0], conditions)
                snapshot.restore()
            if bad is not None:
                number, raw = bad
                said.append(
                    f"the first batch is fine; the one {number} after it has a gradient that is no "
                    "number, and was looked at"
                )
                first, terms = _ordinary(as_batch(raw, model)), ()
                probe_batches = [first, *probe_batches][: len(probe_batches)]
                looks = [look(model, first, conditions, factors=True), *looks][: len(looks)]
                snapshot.restore()
        except Exception as error:
            if is_out_of_memory(error):
                raise out_of_memory(error) from None
            raise
        deep = look_deeper(model, looks[0], first, conditions, gaps)
        own = build_optimizer(optimizer, model)
        if optimizer is None:
            name, rate = type(own).__name__, own.defaults["lr"]
            said.append(f"no optimizer was given: {name} with learning rate {rate:g} was assumed")
        steps = take_steps(
            model,
            optimizer,
            probe_batches,
            conditions,
            probe_steps,
            clip_grad_norm,
            gaps,
            in_doubt=any(call.hidden for call in looks[0].tape.lineage.calls),
        )
        held = held_names(own, model) if optimizer is not None else None
        recording = _record(model, looks, deep, held, steps.updates)
        trial = training = term_trial = None
        if optimizer is not None and probe_steps > 0:
            term_trial = try_terms(
                model, optimizer, probe_batches, conditions, clip_grad_norm, terms
            )
        if optimizer is not None:
            training = try_to_learn(
                model, optimizer, probe_batches, conditions, clip_grad_norm, recording, own
            )
            trial = try_other_rate(
                model,
                optimizer,
                probe_batches,
                conditions,
                clip_grad_norm,
                steps.taken,
                recording,
                own,
            )
        truncated = truncations(looks[0])
        looked_up = lookups(looks[0])
        running_statistics = kept.records(looks[0])
        unregistered = strays(looks[0], own if optimizer is not None else None)
        later, taken = None, steps.taken
        if steps.model is not None:
            later = _look_again(steps.model, recording, first, conditions, gaps)
        del steps
        standing = standing_tensors(model, conditions.standing)
        tensors = data_records(first, standing, looks[0].tape.data, looks[0].graph)
        profiles = {**recording.profiles, **stuck_outputs(model, looks[0], first, conditions)}
        recording = replace(recording, data=tensors, profiles=profiles)
        snapshot.restore()
        crossing = read_crossing(model, first, looks[0], conditions)
    if looks[0].said:
        said.insert(0, looks[0].said)
    if not model.training:
        said.append("the model is in evaluation mode; model.train() shows it as it trains")
    context = RunContext(
        seed=seed,
        dtype=common_dtype(model),
        autocast=autocast,
        device=str(next((p.device for p in model.parameters()), "cpu")),
        training=model.training,
        batch_size=first.size,
        batches=len(probe_batches),
        probe_steps=probe_steps if later is not None else 0,
        loss=looks[0].loss_name,
        loss_value=float(looks[0].loss.detach().real),
        optimizer=describe(own, model, clip_grad_norm=clip_grad_norm),
        parameters=sum(p.numel() for p in model.parameters()),
        modules=leaf_modules(model),
        grad_dtype=grad_dtype(common_dtype(model), deep, looks[0]),
        inferred=tuple(said),
        standing=tuple(sorted(conditions.standing)),
        versions=versions(),
        seconds=time.perf_counter() - started,
    )
    gaps.extend(unseen(looks[0], model))
    return replace(
        recording,
        context=context,
        gaps=tuple(gaps),
        steps=taken,
        trial=trial,
        training=training,
        terms=terms,
        term_trial=term_trial,
        strays=unregistered,
        truncations=truncated,
        lookups=looked_up,
        running_statistics=running_statistics,
        crossing=crossing,
        later=later,
    )


def _standing(seen: Look, model: nn.Module) -> frozenset[str]:
    return data_that_stands(seen.tape.lineage, seen.loss, model)


def _check_arguments(model: object, batches: int, probe_steps: int, autocast: str) -> None:
    if not isinstance(model, nn.Module):
        raise BatchError(
            f"the model is a {type(model).__name__}, not a torch.nn.Module",
            help="unvanish.trace(model, (inputs, target), loss=...)",
        )
    if batches < 1 or probe_steps < 0:
        raise BatchError(
            f"batches must be at least 1 and probe_steps at least 0, "
            f"but they are {batches} and {probe_steps}",
            help="unvanish.trace(model, batch, batches=3, probe_steps=3)",
        )
    if autocast not in ("", "bfloat16", "float16"):
        raise BatchError(
            f"autocast must be 'bfloat16' or 'float16', but is {autocast!r}",
            help='unvanish.trace(model, batch, autocast="bfloat16")',
        )
    if any(p.device.type == "meta" for p in model.parameters()):
        raise BatchError(
            "parameters of the model are on the meta device: they have shapes and no numbers",
            where=type(model).__name__,
            help="build the model without torch.device('meta'), or model.to_empty(device='cpu') "
            "and initialise it",
        )
    if not any(p.requires_grad for p in model.parameters()):
        last = [name for name, module in model.named_modules() if module._parameters]
        if last:
            count = sum(1 for _ in model.parameters())
            part = f"model.get_submodule({last[-1]!r})" if last[-1] else "model"
            raise BatchError(
                f"all {count} parameters of the model are frozen (requires_grad is False): "
                "nothing in it can learn",
                where=type(model).__name__,
                help=f"thaw what is to be trained: model.requires_grad_(True), or {part}"
                ".requires_grad_(True) for the last layer alone",
            )
        raise BatchError(
            "the model has no trainable parameter: nothing in it can learn",
            where=type(model).__name__,
            help="register layers as attributes or in nn.ModuleList, or call "
            "model.requires_grad_(True)",
        )


def _eager(model: nn.Module) -> nn.Module:
    """Return the module behind a `torch.compile` wrapper."""
    original = getattr(model, "_orig_mod", None)
    return original if isinstance(original, nn.Module) else model


def _eager_stance() -> Any:
    """Run compiled parts eagerly, where anything was compiled at all."""
    if "torch._dynamo" in sys.modules:
        return torch.compiler.set_stance("force_eager")
    return nullcontext()


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause Python's cyclic garbage collector, which would walk every node again and again.

    A trace of thousands of layers makes millions of objects that all live until it ends.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _materialised(model: nn.Module, batch: Batch, said: list[str]) -> nn.Module:
    """Return a copy with its lazy parameters created; the model itself where it has none."""
    if not any(is_lazy(t) for t in (*model.parameters(), *model.buffers())):
        return model
    lazy_buffers = {
        id(b): nn.parameter.UninitializedBuffer(device=b.device, dtype=b.dtype)  # type: ignore[call-arg]
        for b in model.buffers()
        if is_lazy(b)
    }  # unlike lazy parameters, they do not know how to copy themselves
    twin = copy.deepcopy(model, lazy_buffers)
    with torch.no_grad(), forward_explained():
        call_model(twin, map_tensors(batch.inputs, lambda t: t.clone()))
    said.append("the model has lazy layers: a copy was initialised with the first batch")
    return twin


def _ordinary(batch: Batch) -> Batch:
    """Return the batch without inference tensors, which no backward pass may keep."""
    if not any(t.is_inference() for t in tensors_in((batch.inputs, batch.target))):
        return batch
    return Batch(map_tensors(batch.inputs, _normal), map_tensors(batch.target, _normal))


def _normal(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone() if tensor.is_inference() else tensor


def _ordinary_model(model: nn.Module, said: list[str]) -> nn.Module:
    """Return a copy that can be trained, where the model was built in inference mode."""
    tensors = (*model.parameters(), *model.buffers())
    if not any(t.is_inference() for t in tensors if not is_lazy(t)):
        return model
    said.append("the model was built in inference mode: a copy was looked at, which can be trained")
    return copied(model)  # type: ignore[no-any-return]


def _probe_batches(
    first: Batch, data: Iterable[Any] | None, wanted: int, model: nn.Module, gaps: list[Gap]
) -> list[Batch]:
    found = [first]
    if data is None or wanted < 2:
        return found
    try:
        for raw in islice(iter(data), wanted):
            one = _ordinary(as_batch(raw, model))
            if len(found) < wanted and not _equal(one, first):
                found.append(one)
    except UnvanishError:
        raise
    except Exception as error:
        _log.debug("reading data failed", exc_info=True)
        gaps.append(Gap("further probe batches", f"data raised {type(error).__name__}: {error}"))
    return found


def _equal(a: Batch, b: Batch) -> bool:
    xs, ys = list(tensors_in(a.inputs)), list(tensors_in(b.inputs))
    return len(xs) == len(ys) and all(
        x.shape == y.shape and torch.equal(x, y) for x, y in zip(xs, ys, strict=True)
    )


def _record(
    model: nn.Module,
    looks: list[Look],
    deep: Look | None,
    held: frozenset[str] | None,
    updates: Mapping[str, Update],
) -> Recording:
    first = looks[0]
    source = deep if deep is not None and deep.gradients.log10_norms else None
    profiles = forward_profiles(looks)
    gradients = gradient_profiles([source] if source else looks, on=first)
    if source is not None:
        gradients = {**gradient_profiles(looks, on=first), **gradients}
    graph = first.graph
    same = source is not None and len(source.graph.sites) == len(graph.sites)
    walked = source if source is not None and same else first
    gradients.update(ledger_profiles(walked, first, source))
    parameters = parameter_records(
        model,
        first,
        source.gradients if source is not None else first.gradients,
        uses_from=source or first,
        held=held,
        updates=updates,
    )
    return Recording(
        sites=tuple(graph.sites),
        edges=walked.gradients.edges(walked.graph),
        profiles={**profiles, **gradients},
        parameters=parameters,
        cuts=cuts(first, {p.name for p in parameters if p.left_out_by}),
        noise=gradient_noise(looks),
    )


def _look_again(
    twin: nn.Module, before: Recording, batch: Batch, conditions: Conditions, gaps: list[Gap]
) -> Recording | None:
    """Look at the copy after its probe steps; a failure there is a gap, not an error.

    Only exact zeros of the first look are looked for with exponents kept: whether they
    opened is what the second look is for.
    """
    grads = before[Quantity.LOG10_PROBE_GRAD_RMS].values.values()
    try:
        again = look(twin, batch, conditions)
        zeros = any(value == -math.inf for value in grads)
        deep = look_deeper(twin, again, batch, conditions, []) if zeros else None
        return _record(twin, [again], deep, None, {})
    except Exception as error:
        _log.debug("the second look failed", exc_info=True)
        gaps.append(
            Gap("the network after probe steps", f"{type(error).__name__}: {first_line(error)}")
        )
        return None
