"""What the remedies that lead connections through a network have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from torch import nn

from unvanish.core.findings import Cause
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.theory.activations import activation
from unvanish.treat.blocks import Block
from unvanish.treat.calls import Place
from unvanish.treat.connecting import Paths, paths_of
from unvanish.treat.joins import Branch
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.relay import Relay
from unvanish.treat.shortcuts import Shortcut
from unvanish.treat.surgery import CannotTreatError, common_path

CONNECTS: Final = frozenset({"residual", "scaled-residual", "rezero", "layer-scale", "highway"})
"""Remedies that lead connections round the same blocks; one of them is enough."""
SCALES: Final = frozenset({"rezero", "skip-init", "layer-scale", "fixup", "deep-norm", "keel"})
"""Remedies that scale the branches of the same residual blocks."""
EXCHANGES_BEFORE: Final = frozenset(
    "relu leaky-relu prelu elu selu gelu silu batch-norm layer-norm rms-norm group-norm "
    "weight-standardisation he xavier lecun orthogonal delta-orthogonal critical looks-linear "
    "siren lsuv centre-and-unit-variance jacobian-tuning shaped-activation "
    "tailored-activation".split()
)
"""What acts on the layers of a block as they are; connections come after it."""

NEW: Final = "new"
PRESENT: Final = "present"
ATTENTIONS: Final = "attentions"
"""Setting: how many of the blocks are attentions. There is none where none is."""
_OF_NO_USE: Final = "the tokens are not alike for want of a way round attention"
ALIKE: Final = "UV302"
"""Code of attention whose tokens are alike, or that has chosen for good."""


def fit(
    case: Case,
    *,
    remedy: str,
    treats: frozenset[str] = frozenset(),
    keeps: frozenset[Keeps],
    layers: int,
    settings: Callable[[int], Mapping[str, float | str | bool]],
    shortcut: str = "projection",
) -> Prescription | NotApplicable:
    """Prescribe connections round the blocks of a network, or say why none fits.

    Args:
        case: The network.
        remedy: Name of the remedy.
        treats: Codes that it treats, where attention is among them.
        keeps: What it keeps.
        layers: Layers a block holds.
        settings: Number of blocks to the remedy's own settings.
        shortcut: What stands where a block changes the width: ``"projection"`` or ``"pad"``.
    """
    if not is_of_use(case, remedy, treats):
        return NotApplicable(_OF_NO_USE)
    paths = paths_of(case, layers=layers)
    if not paths.blocks or len(paths.blocks) < len(paths.branches):
        return NotApplicable(_why_not(paths))
    count = sum(block.calls for block in paths.blocks)
    changing = sum(not block.keeps_shape for block in paths.blocks)
    width = f", {changing} of which change the shape" if changing else ""
    cost = []
    if any(b.channels[0] != b.channels[1] for b in paths.blocks) and shortcut == "projection":
        cost.append("a matrix for every block that changes the width")
    cost.append("the input of a block is held until its end")
    return Prescription(
        remedy=remedy,
        why=f"nothing leads round {_said(paths, layers)}{width}",
        change=Change.PATH,
        keeps=keeps,
        settings={
            "paths": NEW,
            "layers_per_block": layers,
            "blocks": count,
            "shortcut": shortcut,
            **({ATTENTIONS: paths.attentions} if paths.attentions else {}),
            **settings(count),
        },
        places=tuple(dict.fromkeys(block.weights[0] for block in paths.blocks)),
        cost="; ".join(cost),
    )


def fit_branches(
    paths: Paths,
    *,
    remedy: str,
    keeps: frozenset[Keeps],
    settings: Callable[[int], Mapping[str, float | str | bool]],
) -> Prescription:
    """Prescribe something for the residual branches that a network has.

    Args:
        paths: What leads through it.
        remedy: Name of the remedy.
        keeps: What it keeps.
        settings: Number of branches to the remedy's own settings.
    """
    count = sum(branch.calls for branch in paths.branches)
    return Prescription(
        remedy=remedy,
        why=f"{count} residual {'branch is' if count == 1 else 'branches are'} added at full size",
        change=Change.PATH,
        keeps=keeps,
        settings={"paths": PRESENT, "blocks": count, **settings(count)},
        places=tuple(dict.fromkeys(branch.weights[0] for branch in paths.branches)),
    )


def fit_either(
    case: Case,
    *,
    remedy: str,
    treats: frozenset[str] = frozenset(),
    keeps: frozenset[Keeps],
    layers: int,
    settings: Callable[[int], Mapping[str, float | str | bool]],
    centre: bool,
    shortcut: str,
) -> Prescription | NotApplicable:
    """Prescribe something for the residual branches there are, or else connections.

    Args:
        case: The network.
        remedy: Name of the remedy.
        treats: Codes that it treats, where attention is among them.
        keeps: What it keeps.
        layers: Layers a new block holds.
        settings: Number of branches to the remedy's own settings.
        centre: Whether a new block loses what its function adds to every unit.
        shortcut: As in `fit`.
    """
    if not is_of_use(case, remedy, treats):
        return NotApplicable(_OF_NO_USE)
    paths = paths_of(case)
    if paths.branches:
        return fit_branches(paths, remedy=remedy, keeps=keeps, settings=settings)
    return fit(
        case,
        remedy=remedy,
        treats=treats,
        keeps=keeps,
        layers=layers,
        settings=lambda blocks: {**settings(blocks), "centre": centre},
        shortcut=shortcut,
    )


def connect_blocks(
    patient: Patient,
    prescription: Prescription,
    combine: Callable[[Block, Shortcut], nn.Module],
    *,
    said: Callable[[Block], str],
) -> None:
    """Lead a connection round every block that a prescription names.

    Args:
        patient: The network.
        prescription: Its places are the weights of the blocks' first layers.
        combine: Makes what brings together a block's output and its input.
        said: What it is called in the books.

    Raises:
        CannotTreatError: If no block is left.
    """
    layers = int(prescription.settings["layers_per_block"])
    pad = prescription.settings.get("shortcut") == "pad"
    paths = paths_of(patient, layers=layers)
    wanted = set(prescription.places)
    blocks = [b for b in paths.blocks if not wanted or b.weights[0] in wanted]
    if not blocks:
        raise CannotTreatError("nothing is left that a connection could lead round")
    relays: dict[Place, Relay] = {}
    arounds: dict[Place, str] = {}
    for block in blocks:
        arounds[block.end] = common_path(arounds.get(block.end, block.end[0]), _both(block))
    for number, block in enumerate(blocks):
        relay = relays.setdefault(block.end, Relay()) if block.shared else None
        shortcut = Shortcut(*block.channels, block.axes, pad=pad)
        patient.surgery.connect(
            block.start,
            block.end,
            combine(block, shortcut),
            after=said(block),
            stem=f"{prescription.remedy.replace('-', '_')}_{number}",
            relay=relay,
            passes=block.passes,
            around=_around(arounds[block.end] if relay else _both(block), paths),
        )
    if paths.left:
        patient.notes.append(f"No connection leads round {paths.said}.")


def scale_branches(
    patient: Patient,
    prescription: Prescription,
    scale: Callable[[Branch], nn.Module],
    *,
    after: str,
) -> None:
    """Put a module behind every residual branch that a prescription names.

    Args:
        patient: The network.
        prescription: Its places are the first weights of the branches.
        scale: Makes the module.
        after: What it is called in the books.

    Raises:
        CannotTreatError: If no branch is left.
    """
    wanted = set(prescription.places)
    branches = [b for b in paths_of(patient).branches if not wanted or b.weights[0] in wanted]
    if not branches:
        raise CannotTreatError("there is no residual branch")
    for number, branch in enumerate(branches):
        path, function, call = branch.end
        patient.surgery.insert(
            path,
            scale(branch),
            "after",
            function=function,
            call=call,
            stem=f"{prescription.remedy.replace('-', '_')}_{number}",
            before="the branch at full size",
            after=after,
        )


def take_out_norms(patient: Patient, branches: Sequence[Branch]) -> None:
    """Take batch normalisation out of branches; the layers there get the bias they lack.

    Args:
        patient: The network.
        branches: Its branches.
    """
    for path in dict.fromkeys(path for branch in branches for path in branch.norms):
        patient.surgery.replace(path, nn.Identity(), what="nothing")
    for path, function, _ in dict.fromkeys(p for branch in branches for p in branch.layers):
        module = patient.model.get_submodule(path)
        if not function and "bias" in module._parameters:
            patient.surgery.add_bias(path)


def is_batch_norm(model: nn.Module, path: str) -> bool:
    """Tell whether a path leads to batch normalisation, which can be taken out."""
    return isinstance(model.get_submodule(path), nn.modules.batchnorm._BatchNorm)


def centre_of(block: Block, model: Any) -> float:
    """Return the value at zero of the function that a block ends in.

    A sigmoid adds half a unit in every block, and a softplus 0.69: after thirty blocks the stream
    holds little else, and the samples look alike.
    """
    try:
        value = float(activation(block.activation).value(np.zeros(1))[0])
    except ValueError:
        return 0.0
    path, function, _ = block.end
    module = None if function else model.get_submodule(path)
    return value / float(getattr(module, "beta", 1.0))


def channels_of(branch: Branch) -> int:
    """Return the number of channels that a branch adds."""
    return branch.shape[-1 - branch.axes]


def _both(block: Block) -> str:
    return common_path(block.start[0], block.end[0])


def _around(path: str, paths: Paths) -> str:
    """Return the innermost module around a path that is called itself, as a list is not."""
    while path and path not in paths.entered:
        path = path.rpartition(".")[0]
    return path


def _said(paths: Paths, layers: int) -> str:
    attentions = paths.attentions
    count = len(paths.blocks) - attentions
    said = []
    if count:
        kind = f"{'layer' if layers == 1 else 'layers'} with a function behind"
        said.append(f"{'one block' if count == 1 else f'{count} blocks'} of {layers} {kind}")
    if attentions:
        said.append("one attention" if attentions == 1 else f"{attentions} attentions")
    return " and ".join(said)


def is_of_use(case: Case, remedy: str, treats: frozenset[str]) -> bool:
    """Tell whether connections may help what was found: not attention that has chosen for good.

    One code stands for it and for tokens that have become alike for want of a way round. A remedy
    that was asked for by name is tried all the same.

    Args:
        case: The network.
        remedy: Name of the remedy.
        treats: Codes that it treats.
    """
    if case.codes & treats != {ALIKE} or remedy in case.asked:
        return True
    return any(
        Cause.DEPTH_WITHOUT_SKIP in finding.causes
        for finding in case.diagnosis.findings
        if finding.code == ALIKE
    )


def _why_not(paths: Paths) -> str:
    if paths.branches:
        return "its layers stand in residual blocks already"
    return (
        f"nothing is there that a connection could lead round: it has {paths.said}"
        if paths.left
        else "it has no hidden layer with a function behind it that another layer feeds"
    )
