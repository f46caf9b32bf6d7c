"""How parameters that start equal, or at zero, are drawn anew: one plan for network and source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unvanish.theory.mean_field import second_moment
from unvanish.treat.anatomy import Anatomy, theory_of
from unvanish.treat.drawing import normal
from unvanish.treat.layouts import layout_of
from unvanish.treat.recurrent import kind_of, owner_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How one parameter is drawn.

    Attributes:
        how: ``"gates"`` (Xavier for the matrix of every gate), ``"turns"`` (an orthogonal one for
            every gate), ``"normal"``, ``"ones"``, or ``"noise"`` on what it holds.
        deviation: Standard deviation of what is drawn, for ``"normal"`` and ``"noise"``.
        blocks: Number of matrices that are stacked, for gates.
        silent: Row that stays zero, since it stands for nothing; -1 without one.
    """

    how: Literal["gates", "turns", "normal", "ones", "noise"]
    deviation: float = math.nan
    blocks: int = 1
    silent: int = -1

    def of(self, old: Tensor) -> Tensor:
        """Return what a parameter is to hold.

        Args:
            old: What it holds.
        """
        match self.how:
            case "ones":
                return torch.ones_like(old)
            case "noise":
                return old + self.deviation * torch.randn_like(old)
            case "normal":
                new = normal(old, self.deviation)
                if self.silent >= 0:
                    new[self.silent] = 0.0
                return new
        new = torch.empty_like(old, dtype=torch.promote_types(old.dtype, torch.float32))
        for matrix in new.chunk(self.blocks):
            (nn.init.orthogonal_ if self.how == "turns" else nn.init.xavier_uniform_)(matrix)
        return new.to(old)


def draw_of(name: str, model: nn.Module, anatomy: Anatomy, noise: float) -> Draw:
    """Return how a parameter is drawn.

    Args:
        name: Name of the parameter.
        model: The network.
        anatomy: Its layers, with the size that the parameter has.
        noise: Size of the noise, relative to that of what a parameter holds.
    """
    weight = model.get_parameter(name)
    module = model.get_submodule(owner_of(name))
    if kind_of(module):
        blocks = weight.shape[0] // int(module.hidden_size)  # type: ignore[arg-type]
        return Draw(how="turns" if "weight_hh" in name else "gates", blocks=blocks)
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        silent = module.padding_idx if module.padding_idx is not None else -1
        return Draw(how="normal", deviation=1.0 / math.sqrt(weight.shape[1]), silent=silent)
    layer = anatomy.layer_of(name)
    if layer is not None:
        phi = theory_of(layer, model)
        kept = second_moment(phi, 1.0) if phi is not None else 1.0
        fan_in = layout_of(layer, weight, model).fan_in
        return Draw(how="normal", deviation=1.0 / math.sqrt(fan_in * kept))
    rms = next(p.rms for p in anatomy.recording.parameters if p.name == name)
    if rms > 0.0:
        return Draw(how="noise", deviation=noise * rms)
    if weight.ndim < 2:
        return Draw(how="ones")
    return Draw(how="normal", deviation=1.0 / math.sqrt(weight.shape[-1]))
