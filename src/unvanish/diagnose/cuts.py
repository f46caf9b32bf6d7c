"""What UV501 and UV505 share: which parameters are cut off, where, and whether on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unvanish.core.incidents import Cut
from unvanish.core.records import Parameter, Recording, Site


def watched(recording: Recording) -> list[Parameter]:
    """Return the trainable parameters that the optimiser holds or may hold.

    Where it holds none of them, that is a matter of UV504, and all are watched.
    """
    trainable = [p for p in recording.parameters if p.requires_grad]
    return [p for p in trainable if p.in_optimizer is not False] or trainable


def cut_off(recording: Recording) -> list[Parameter]:
    """Return the watched parameters whose value reaches the loss, and no gradient comes back.

    What an installed library cuts off of its own is its design; see `left_out`.
    """
    return [p for p in _without_gradient(recording) if not p.left_out_by]


def left_out(recording: Recording) -> list[Parameter]:
    """Return the watched parameters that a library keeps the gradient from by its own design."""
    return [p for p in _without_gradient(recording) if p.left_out_by]


def _without_gradient(recording: Recording) -> list[Parameter]:
    return [p for p in watched(recording) if p.feeds_loss and not p.has_grad]


def cuts_of(recording: Recording, parameters: Sequence[Parameter]) -> tuple[Cut, ...]:
    """Return the calls that cut these parameters off, each line once."""
    names = {parameter.name for parameter in parameters}
    places: dict[tuple[str, str], Cut] = {}
    for call in recording.cuts:
        if not call.writes and not is_derivative(call) and names & set(call.parameters):
            places.setdefault((call.op, str(call.source)), call)
    return tuple(places.values())


def draws_of(recording: Recording) -> tuple[Cut, ...]:
    """Return the random draws that keep some of the gradient from watched parameters, line by line.

    These learn from the rest of the loss, such as a divergence from a prior, and not from what
    the layers behind the draw make of it. What gets no gradient at all is a matter of `cut_off`.
    """
    names = {p.name for p in watched(recording) if p.has_grad}
    lines: dict[tuple[str, str], list[Cut]] = {}
    for call in recording.cuts:
        if call.feeds and not call.package and not call.writes and names & set(call.parameters):
            lines.setdefault((call.path, str(call.source)), []).append(call)
    return tuple(replace(same[0], parameters=_all_of(same)) for same in lines.values())


def derivatives_of(recording: Recording) -> tuple[Cut, ...]:
    """Return the derivatives without a gradient of watched parameters that the loss is made of.

    In evaluation mode there are none: ``create_graph=self.training`` is how they are written.
    """
    names = {p.name for p in watched(recording)}
    return tuple(
        one
        for one in recording.cuts
        if is_derivative(one) and recording.context.training and names & set(one.parameters)
    )


def is_derivative(cut: Cut) -> bool:
    """Tell whether what a gradient ends at is a derivative that was taken without it."""
    return cut.under == "derivative"


def is_drawn(cut: Cut) -> bool:
    """Tell whether a gradient ends because something is drawn without it."""
    return cut.under == "sample" or (cut.op == "normal" and cut.under == "no_grad")


def site_of(cut: Cut) -> Site:
    """Return a site that stands for a call which left no differentiable step behind."""
    return Site(index=-1, path=cut.path, op=cut.op, source=cut.source)


def are_a_target(recording: Recording, cut: Sequence[Parameter]) -> bool:
    """Whether each has a living twin in another branch, and no optimiser is known."""
    alive = {
        (_inner(p), p.shape): _branch(p)
        for p in recording.parameters
        if p.requires_grad and p.has_grad
    }
    return all(
        p.in_optimizer is None
        and _inner(p)
        and alive.get((_inner(p), p.shape), _branch(p)) != _branch(p)
        for p in cut
    )


def named(parameters: Sequence[Parameter]) -> str:
    """Return the parameters as the subject of a sentence."""
    if len(parameters) == 1:
        return parameters[0].name
    return f"{len(parameters)} parameters, the first {parameters[0].name},"


def _all_of(calls: Sequence[Cut]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for call in calls for name in call.parameters))


def _branch(parameter: Parameter) -> str:
    return parameter.name.partition(".")[0]


def _inner(parameter: Parameter) -> str:
    """Return the name inside the branch, where that is more than ``weight``."""
    inner = parameter.name.partition(".")[2]
    return inner if "." in inner else ""
