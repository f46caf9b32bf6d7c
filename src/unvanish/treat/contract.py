"""What every remedy has to hold to, checked on a network: the kit behind `check_remedy`."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.pages import page_of, sections_of
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.registry import lacking
from unvanish.core.verdicts import NotApplicable
from unvanish.observe.batch import as_batch, call_model, main_output, map_tensors
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything
from unvanish.observe.optimizer import OptimizerLike, build_optimizer
from unvanish.treat.answering import answer
from unvanish.treat.interception import is_shadowed
from unvanish.treat.protocol import CARD_HEADINGS, Remedy
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of, treat

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CODE: Final = re.compile(r"[A-Z]{2,}[0-9]{3}")


def check_remedy(
    remedy: Remedy,
    model: Callable[[], nn.Module],
    batch: Any,
    loss: Any = None,
    *,
    optimizer: OptimizerLike = None,
    autocast: str = "",
    unfit: Sequence[tuple[nn.Module, Any]] = (),
    prescription: Callable[[Prescription], Prescription] = lambda one: one,
) -> None:
    """Hold a remedy to the contract.

    The card is complete; `assess` changes nothing; a copy is treated and the network stays as it
    is; what the remedy says it keeps is kept; undo restores every bit; the same seed gives the
    same result; a second application is refused; a network it does not fit is refused with a
    reason.

    Args:
        remedy: The remedy.
        model: Makes a network that it fits.
        batch: A batch for it.
        loss: As in `unvanish.trace`.
        optimizer: An optimiser, or a factory, where the remedy needs one.
        autocast: ``"bfloat16"`` or ``"float16"`` where it is trained under autocast.
        unfit: Networks that it does not fit, each with a batch.
        prescription: Changes what the remedy prescribes, for settings that are not its own.

    Raises:
        AssertionError: If a demand is not met; the message says which.
    """
    _check_card(remedy)
    torch.manual_seed(0)
    network = model()
    own = None if optimizer is None else build_optimizer(optimizer, network)
    before = _state(network)
    case = case_of(network, batch, loss, optimizer=own, autocast=autocast)
    found = remedy.assess(case)
    _demand(not isinstance(found, NotApplicable), f"it does not fit: {found}")
    assert isinstance(found, Prescription)
    _check_prescription(remedy, found)
    _demand(_state(network) == before, "assess must not change the network")
    found = prescription(found)

    treated = treat(network, found, batch, loss, optimizer=own, autocast=autocast)
    _demand(_state(network) == before, "treating a copy must not change the network")
    again = treat(network, found, batch, loss, optimizer=own, autocast=autocast)
    _demand(_values(treated.model) == _values(again.model), "one seed must give one result")
    _check_keeps(found, network, treated.model, batch)
    _check_runs(treated.model, batch)
    try:
        treat(treated.model, remedy.name, batch, treated.loss, optimizer=treated.optimizer)
    except CannotTreatError:
        pass
    else:
        raise AssertionError("a second application must be refused")
    treat(network, found, batch, loss, optimizer=own, autocast=autocast, in_place=True).undo()
    _demand(_state(network) == before, "undo must restore every bit")
    for other, its_batch in unfit:
        said = remedy.assess(case_of(other, its_batch))
        _demand(
            isinstance(said, NotApplicable) and bool(said.reason),
            f"{type(other).__name__} should be refused with a reason",
        )


def _check_card(remedy: Remedy) -> None:
    absent = lacking(remedy, Remedy)
    _demand(not absent, f"it lacks {', '.join(absent)}")
    _demand(_NAME.fullmatch(remedy.name) is not None, f"{remedy.name!r} is not in kebab case")
    _demand(
        all(_CODE.fullmatch(code) for code in remedy.treats), "treats names codes such as UV101"
    )
    _demand(isinstance(remedy.change, Change), "change is a `Change`")
    _demand(all(isinstance(k, Keeps) for k in remedy.keeps), "keeps holds `Keeps`")
    _demand(bool(remedy.sources), "it names its sources")
    sections = sections_of(page_of(remedy))
    _demand(
        tuple(sections) == CARD_HEADINGS,
        f"the card needs the headings {', '.join(CARD_HEADINGS)}, but has {', '.join(sections)}",
    )
    for heading, text in sections.items():
        _demand(bool(text), f"nothing stands under {heading!r}")


def _check_prescription(remedy: Remedy, found: Prescription) -> None:
    _demand(found.remedy == remedy.name, "a prescription names its remedy")
    _demand(
        found.change.rank >= remedy.change.rank,
        "a prescription cannot change less of the design than its remedy says",
    )
    _demand(found.keeps <= remedy.keeps, "a prescription cannot promise more than its remedy")
    why = found.why
    _demand(bool(why) and "\n" not in why and not why.endswith("."), "why is one clause")
    plain = all(isinstance(v, (int, float, str, bool)) for v in found.settings.values())
    _demand(plain, "settings are plain numbers and text")


def _check_keeps(found: Prescription, old: nn.Module, new: nn.Module, batch: Any) -> None:
    before, after = old.state_dict(), new.state_dict()
    if Keeps.STATE_NAMES in found.keeps:
        for name, value in before.items():
            same = isinstance(after.get(name), Tensor) and after[name].shape == value.shape
            _demand(not isinstance(value, Tensor) or same, f"{name} is gone or has another shape")
    if Keeps.WEIGHTS in found.keeps:
        for name, parameter in old.named_parameters():
            now = dict(new.named_parameters()).get(name)
            _demand(now is not None and _same(parameter, now), f"{name} has another value")
    if Keeps.ARCHITECTURE in found.keeps:
        kinds = [[type(m) for m in net.modules()] for net in (old, new)]
        _demand(kinds[0] == kinds[1], "the architecture has other modules")
        _demand(not any(is_shadowed(m) for m in new.modules()), "the architecture is intercepted")
    if Keeps.FUNCTION in found.keeps:
        for training in (True, False):
            outputs = [_output(copied(net).train(training), batch) for net in (old, new)]
            _demand(
                torch.allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-5, equal_nan=True),
                f"the function is another one (training={training})",
            )


def _check_runs(model: nn.Module, batch: Any) -> None:
    twin = copied(model)
    output = main_output(call_model(twin, as_batch(batch, twin).inputs))
    _demand(output is not None, "the treated network gives no tensor")
    assert output is not None
    if output.requires_grad:
        output.double().square().mean().backward()
    finite = all(p.grad is None or bool(p.grad.isfinite().all()) for p in twin.parameters())
    _demand(finite, "the treated network's gradient is not finite")
    wide = copied(model).double()
    inputs = map_tensors(
        as_batch(batch, wide).inputs, lambda t: t.double() if t.is_floating_point() else t
    )
    _demand(main_output(call_model(wide, inputs)) is not None, "it must run in float64 too")
    _demand(_values(copy.deepcopy(model)) == _values(model), "a deep copy has the same values")


def _output(model: nn.Module, batch: Any) -> Tensor:
    seed_everything(0)
    output = main_output(answer(model, as_batch(batch, model).inputs))
    assert output is not None
    return output.detach()


def _state(model: nn.Module) -> tuple[Any, ...]:
    """Return everything about a network that a treatment could change, comparable."""
    modules = tuple(
        (path, type(module), module.training, frozenset(module.__dict__), _hooks(module))
        for path, module in model.named_modules()
    )
    flags = tuple((n, p.requires_grad, p.grad is None) for n, p in model.named_parameters())
    return modules, flags, _values(model)


def _hooks(module: nn.Module) -> tuple[int, int]:
    return len(module._forward_hooks), len(module._forward_pre_hooks)


def _values(model: nn.Module) -> tuple[tuple[str, bytes], ...]:
    tensors = (*model.named_parameters(), *model.named_buffers())
    return tuple(
        (name, t.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        if t.numel() and t.ndim
        else (name, repr(t.detach().tolist()).encode())
        for name, t in tensors
    )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.detach(), other.detach())


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
