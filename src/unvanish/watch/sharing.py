"""How the processes of a run share a model: what is a piece, what is a copy.

Nothing in here speaks to another process. What the wrappers and tensors of this one say is enough.
"""

from __future__ import annotations

import gc
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.watch.launching import launch_of, rank, world_size
from unvanish.watch.pieces import Piece, piece_of

_STAGE: Final = "torch.distributed.pipelining.stage"

_REHEARSALS: Final = {
    "_shape_inference",
    "_forward_metadata_inference",
    "_backward_metadata_inference",
}


@dataclass(frozen=True, slots=True)
class Sharing:
    """How this process and others share the watched models.

    Attributes:
        rank: Number of this process.
        world: How many there are.
        launch: What the processes of one start have in common.
        strategy: Names of the ways, such as ``"FSDP2"``; empty where none was recognised.
        batches: Into how many parts the batch is shared out; 0 where it is not known.
        divisor: By what the sum of the parts' gradients is divided; 0 for their number.
        passes: By what a pipeline divides the sum over its micro-batches; 0 without a pipeline.
        flat: Pieces of parameters that cannot tell themselves, by identity.
    """

    rank: int
    world: int
    launch: str
    strategy: str = ""
    batches: int = 0
    divisor: float = 0.0
    passes: int = 0
    flat: dict[int, Piece] = field(default_factory=dict)

    @property
    def is_pipeline(self) -> bool:
        """Whether this process holds some of the layers only, and the others the rest."""
        return self.passes > 0

    def piece(self, parameter: Tensor) -> Piece:
        """Return which piece of a parameter is here."""
        return self.flat.get(id(parameter)) or piece_of(parameter)


def is_one_of_several() -> bool:
    """Tell whether this process is one of several that train together."""
    distributed = torch.distributed
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


def own_rank() -> int:
    """Return the number of this process among those that train together; 0 where it is alone."""
    if not is_one_of_several():
        return rank()
    try:
        return torch.distributed.get_rank()
    except (RuntimeError, ValueError):  # somebody else's idea of a distributed run
        return rank()


def sharing_of(models: Sequence[nn.Module]) -> Sharing:
    """Find out how the watched models are shared.

    Args:
        models: The models, wrapped or not.
    """
    world = torch.distributed.get_world_size() if is_one_of_several() else world_size()
    known = {id(module) for model in models for module in model.modules()}
    names: list[str] = []
    flat: dict[int, Piece] = {}
    batches, divisor, passes = 0, 0.0, 0
    for each in _living():
        held = vars(each).get("_modules", {}).get("module", vars(each).get("submod"))
        if id(each) not in known and id(held) not in known:
            continue
        kind = _kind_of(type(each))
        if kind == "DDP":
            names.append(kind)
            batches = each.process_group.size()
        elif kind == "pipeline":
            names.append(kind)
            passes = _passes(each)
        elif kind == "FSDP":
            names.append(kind)
            batches = _flat_pieces(each, flat)
    for group in _fully_sharded(models):
        mesh = group.mesh_info
        sizes = [getattr(mesh, f"{way}_mesh_size", 1) for way in ("shard", "replicate")]
        names.append("HSDP" if min(sizes) > 1 else "FSDP2")
        batches = sizes[0] * sizes[1] * (batches if "DDP" in names else 1)
        divisor = float(getattr(group, "gradient_divide_factor", None) or 0.0)
        break
    if _is_tensor_parallel(models):
        names.append("tensor parallel")
        batches = batches or 1
    if passes:
        batches = batches or 1
    return Sharing(
        rank=own_rank(),
        world=world,
        launch=launch_of(os.environ, os.getppid()),
        strategy=" + ".join(dict.fromkeys(names)),
        batches=batches,
        divisor=divisor,
        passes=passes,
        flat=flat,
    )


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model that a wrapper for data parallelism passes its calls on to.

    Args:
        model: Any model.
    """
    if isinstance(model, nn.parallel.DistributedDataParallel):
        return unwrapped(model.module)
    return model


def is_rehearsal() -> bool:
    """Tell whether a stage of a pipeline finds out its shapes, with numbers that mean nothing."""
    if _STAGE not in sys.modules:
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in _REHEARSALS and frame.f_globals.get("__name__") == _STAGE:
            return True
        frame = frame.f_back
    return False


# --- wrappers ------------------------------------------------------------------------


def _living() -> Iterator[Any]:
    """Yield the wrappers and stages that there are, without running code of any object."""
    kinds = tuple(_kinds())
    return (each for each in gc.get_objects() if kinds and issubclass(type(each), kinds))


_WRAPPERS: Final = {
    "DDP": ("torch.nn.parallel.distributed", "DistributedDataParallel"),
    "FSDP": ("torch.distributed.fsdp.fully_sharded_data_parallel", "FullyShardedDataParallel"),
    "pipeline": (_STAGE, "_PipelineStageBase"),
}


def _kinds() -> Iterator[type]:
    for module, name in _WRAPPERS.values():
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type):
            yield found


def _kind_of(kind: type) -> str:
    names = {base.__name__ for base in kind.__mro__}
    return next((short for short, (_, name) in _WRAPPERS.items() if name in names), "")


def _passes(stage: Any) -> int:
    """Return by what the schedule of a stage divides the sum over its micro-batches."""
    module = sys.modules.get("torch.distributed.pipelining.schedules")
    kind = getattr(module, "_PipelineSchedule", None)
    if kind is None:
        return 1
    for each in gc.get_objects():
        if issubclass(type(each), kind):
            parts = vars(each)
            stages = [parts.get("_stage"), *parts.get("_stages", ())]
            if any(known is stage for known in stages):
                return int(parts.get("_n_microbatches", 1)) if parts.get("scale_grads") else 1
    return 1


def _flat_pieces(wrapper: Any, flat: dict[int, Piece]) -> int:
    """Note the pieces of a wrapper that keeps its parameters as pieces of one flat one.

    Returns:
        Into how many parts the batch is shared out.
    """
    group = wrapper.process_group
    size, here = group.size(), group.rank()
    across = getattr(wrapper, "_inter_node_pg", None)
    batches = size * (across.size() if across is not None else 1)
    if getattr(wrapper.sharding_strategy, "name", "") == "NO_SHARD":
        return int(batches)
    ranks = torch.distributed.get_process_group_ranks(group)
    for parameter in wrapper.parameters():
        flat[id(parameter)] = (((size, here),), f"{zlib.crc32(str(ranks).encode()):08x}")
    return int(batches)


def _fully_sharded(models: Iterable[nn.Module]) -> Iterator[Any]:
    """Yield the groups of parameters of the modules that `fully_shard` was called on."""
    for model in models:
        for module in model.modules():
            state_of = getattr(module, "_get_fsdp_state", None)
            if state_of is None:
                continue
            state = state_of()
            groups = getattr(state, "_fsdp_param_groups", None)
            if groups is None:
                groups = [state._fsdp_param_group]
            yield from (group for group in groups if group is not None)


def _is_tensor_parallel(models: Iterable[nn.Module]) -> bool:
    """Tell whether some parameter is cut along a mesh that shares out no batch."""
    for model in models:
        sharded = {
            id(parameter)
            for group in _fully_sharded([model])
            for parameter in _parameters_of(group)
        }
        for parameter in model.parameters():
            mesh = getattr(parameter, "device_mesh", None)
            if mesh is None:
                continue
            cuts = len(piece_of(parameter)[0])
            if id(parameter) not in sharded or cuts > 1:
                return True
    return False


def _parameters_of(group: Any) -> Iterator[Tensor]:
    for held in group.fsdp_params:
        parameter = getattr(held, "sharded_param", None)
        if parameter is not None:
            yield parameter
