"""Training loops as several processes run them, and the same in one."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.watch import observe

STEPS = 6

Loop = Callable[[int, int, Any], list[Tensor]]
"""Given rank, world size and how to watch, trains and returns losses and weights."""


def network(width: int = 12) -> nn.Sequential:
    """Return a small network with a dead unit, of which every entry is looked at."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 10), nn.Tanh(), nn.Linear(10, 3)
    )
    with torch.no_grad():
        model[0].bias[3] = -50.0
    return model


def batches(rank: int, world: int, steps: int = STEPS) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the part of every batch of eight that a rank has."""
    generator = torch.Generator().manual_seed(7)
    for _ in range(steps):
        x = torch.randn(8, 6, generator=generator)
        y = torch.randn(8, 3, generator=generator)
        yield x.chunk(world)[rank], y.chunk(world)[rank]


def train(
    model: nn.Module, watched: nn.Module, parts: Any, watching: Any, clip: float = 0.0
) -> list[Tensor]:
    """Train, and return the losses."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    with watching(watched, optimizer):
        for x, y in parts:
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            losses.append(loss.detach().clone())
    return losses


def single(_rank: int, _world: int, watching: Any) -> list[Tensor]:
    """One process, the whole batch."""
    model = network()
    return train(model, model, batches(0, 1), watching)


def single_clipped(_rank: int, _world: int, watching: Any) -> list[Tensor]:
    """The same, clipped."""
    model = network()
    return train(model, model, batches(0, 1), watching, clip=0.5)


def single_uneven(_rank: int, _world: int, watching: Any) -> list[Tensor]:
    """The same, with a width that no two processes share evenly."""
    model = network(width=13)
    return train(model, model, batches(0, 1), watching, clip=0.5)


def ddp(rank: int, world: int, watching: Any) -> list[Tensor]:
    """DistributedDataParallel; the watch is given the wrapper."""
    model = nn.parallel.DistributedDataParallel(network())
    return train(model, model, batches(rank, world), watching, clip=0.5)


def single_accumulated(_rank: int, _world: int, watching: Any) -> list[Tensor]:
    """Two micro-batches a step."""
    return _accumulated(network(), batches(0, 1, 2 * STEPS), watching)


def ddp_accumulated(rank: int, world: int, watching: Any) -> list[Tensor]:
    """The same on several processes, which speak to each other in the second one alone."""
    model = nn.parallel.DistributedDataParallel(network())
    return _accumulated(model, batches(rank, world, 2 * STEPS), watching)


def _accumulated(model: Any, parts: Iterator[tuple[Tensor, Tensor]], watching: Any) -> list[Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    with watching(model, optimizer):
        for number, (x, y) in enumerate(parts):
            is_last = number % 2 == 1
            quiet = nullcontext() if is_last or not hasattr(model, "no_sync") else model.no_sync()
            with quiet:
                loss = (model(x) - y).square().mean() / 2
                loss.backward()
            losses.append(loss.detach().clone())
            if is_last:
                optimizer.step()
                optimizer.zero_grad()
    return losses


def _sharded(model: nn.Sequential, mesh: Any = None) -> nn.Sequential:
    from torch.distributed.fsdp import fully_shard

    options = {} if mesh is None else {"mesh": mesh}
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, **options)
    fully_shard(model, **options)
    return model


def fsdp2(rank: int, world: int, watching: Any) -> list[Tensor]:
    """fully_shard, evenly."""
    model = _sharded(network())
    return train(model, model, batches(rank, world), watching, clip=0.5)


def fsdp2_uneven(rank: int, world: int, watching: Any) -> list[Tensor]:
    """fully_shard, where one rank has more than the other, and of the last bias less than one."""
    model = _sharded(network(width=13))
    return train(model, model, batches(rank, world), watching, clip=0.5)


def hsdp(rank: int, world: int, watching: Any) -> list[Tensor]:
    """fully_shard on two dimensions: copies of shards."""
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("copy", "shard"))
    model = _sharded(network(width=13), mesh)
    return train(model, model, batches(rank, world), watching, clip=0.5)


def _parallel(model: nn.Sequential, mesh: Any) -> nn.Module:
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    return parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})


def tensor_parallel(_rank: int, world: int, watching: Any) -> list[Tensor]:
    """parallelize_module: columns of the first layer, rows of the second, the third on all."""
    from torch.distributed.device_mesh import init_device_mesh

    model = _parallel(network(), init_device_mesh("cpu", (world,)))
    return train(model, model, batches(0, 1), watching)


def fsdp2_and_tensor_parallel(rank: int, world: int, watching: Any) -> list[Tensor]:
    """Both, on two dimensions."""
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("data", "tensor"))
    model = _sharded(_parallel(network(), mesh["tensor"]), mesh["data"])
    return train(model, model, batches(rank // (world // 2), 2), watching)


class Language(nn.Module):
    """A network for sequence parallelism."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 8)
        self.norm = nn.LayerNorm(8)
        self.up = nn.Linear(8, 10)
        self.down = nn.Linear(10, 8)
        self.head = nn.Linear(8, 12)

    def forward(self, tokens: Tensor) -> Tensor:
        x = nn.functional.gelu(self.up(self.norm(self.embed(tokens))))
        return self.head(self.down(x))


def single_language(_rank: int, _world: int, watching: Any) -> list[Tensor]:
    """One process of what `sequence_parallel` trains."""
    torch.manual_seed(0)
    return _language(Language(), watching, nullcontext())


def sequence_parallel(_rank: int, world: int, watching: Any) -> list[Tensor]:
    """Cut along the sequence, the vocabulary and the features; the loss is computed in pieces."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        SequenceParallel,
        loss_parallel,
        parallelize_module,
    )

    torch.manual_seed(0)
    plan = {
        "embed": RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1)),
        "norm": SequenceParallel(),
        "up": ColwiseParallel(input_layouts=Shard(1)),
        "down": RowwiseParallel(),
        "head": ColwiseParallel(use_local_output=False),
    }
    model = parallelize_module(Language(), init_device_mesh("cpu", (world,)), plan)
    return _language(model, watching, loss_parallel())


def _language(model: nn.Module, watching: Any, pieces: Any) -> list[Tensor]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(3)
    losses = []
    with watching(model, optimizer), pieces:
        for _ in range(STEPS):
            tokens = torch.randint(0, 12, (4, 6), generator=generator)
            loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            whole = loss.full_tensor() if hasattr(loss, "full_tensor") else loss
            losses.append(whole.detach().clone())
    return losses


def pipeline(rank: int, world: int, watching: Any) -> list[Tensor]:
    """GPipe with four micro-batches; the second stage's layers have the names of the first's."""
    from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

    model = network()
    own = nn.Sequential(*(model[:2] if rank == 0 else model[2:]))
    optimizer = torch.optim.Adam(own.parameters(), lr=1e-2)
    stage = PipelineStage(own, rank, world, torch.device("cpu"))
    schedule = ScheduleGPipe(stage, 4, loss_fn=nn.functional.mse_loss)
    found = []
    with watching(own, optimizer):
        for x, y in batches(0, 1):
            optimizer.zero_grad()
            losses: list[Tensor] = []
            if rank == 0:
                schedule.step(x)
            else:
                schedule.step(target=y, losses=losses)
            optimizer.step()
            found += [loss.detach().clone() for loss in losses]
    return found


def apart(rank: int, world: int, watching: Any) -> list[Tensor]:
    """Each process trains a network of its own, of one shape."""
    torch.manual_seed(rank)
    model = nn.Linear(6, 3)
    return train(model, model, batches(rank, world), watching)


def dies(rank: int, world: int, watching: Any) -> list[Tensor]:
    """The second process is killed in its fourth step; nobody speaks to the others after."""
    model = network()

    def parts() -> Iterator[tuple[Tensor, Tensor]]:
        for step, part in enumerate(batches(rank, world)):
            if rank == 1 and step == 3:
                os.kill(os.getpid(), 9)
            yield part

    return train(model, model, parts(), watching)


def fsdp1(rank: int, world: int, watching: Any) -> list[Tensor]:
    """The older FullyShardedDataParallel, with its original parameters."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    model = FullyShardedDataParallel(network(), use_orig_params=True, device_id=torch.device("cpu"))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    with watching(model, optimizer):
        for x, y in batches(rank, world):
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            model.clip_grad_norm_(0.5)
            optimizer.step()
            losses.append(loss.detach().clone())
    return losses


def alone(rank: int, world: int, watching: Any) -> list[Tensor]:
    """Only the first process is watched."""
    model = nn.parallel.DistributedDataParallel(network())
    return train(model, model, batches(rank, world), watching if rank == 0 else _unwatched)


def raises(rank: int, world: int, watching: Any) -> list[Tensor]:
    """The second process gives up before its third step; the first goes on without it."""
    model = network()

    def parts() -> Iterator[tuple[Tensor, Tensor]]:
        for step, part in enumerate(batches(rank, world)):
            if rank == 1 and step == 2:
                raise RuntimeError("no more")
            yield part

    return train(model, model, parts(), watching)


def joined(rank: int, world: int, watching: Any) -> list[Tensor]:
    """The second process has fewer batches; the first one goes on without it."""
    from torch.distributed.algorithms.join import Join

    model = nn.parallel.DistributedDataParallel(network())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    parts = list(batches(rank, world))[: STEPS if rank == 0 else STEPS - 2]
    losses = []
    with watching(model, optimizer), Join([model]):
        for x, y in parts:
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach().clone())
    return losses


def _unwatched(*_: Any) -> Any:
    return nullcontext()


LOOPS: dict[str, Loop] = {
    loop.__name__: loop
    for loop in (
        single, single_clipped, single_uneven, ddp, single_accumulated, ddp_accumulated, fsdp2,
        fsdp2_uneven, fsdp1, hsdp, tensor_parallel, fsdp2_and_tensor_parallel, single_language,
        sequence_parallel, pipeline, apart,
        dies, alone, raises, joined,
    )
}  # fmt: skip


def run(name: str, world: int, folder: Path, *, watch: bool) -> list[int | None]:
    """Run a loop in several processes; each leaves its losses in the folder.

    Forked: what takes long, torch's import, is done once.

    Returns:
        Their exit codes; None for one that did not end within a minute.
    """
    for module in ("fsdp", "tensor.parallel", "pipelining", "device_mesh"):
        importlib.import_module(f"torch.distributed.{module}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=_one, args=(name, rank, world, port, folder, watch))
        for rank in range(world)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads
        for process in processes:
            process.start()
    codes = []
    for process in processes:
        process.join(timeout=60)
        codes.append(process.exitcode)
        if process.exitcode is None:
            process.kill()
    return codes


def left_by(folder: Path, rank: int, *, watch: bool) -> dict[str, Any]:
    """Return what a process left: its losses to the last bit, and how often it spoke to others."""
    found: dict[str, Any] = json.loads((folder / f"left-{int(watch)}-{rank}.json").read_text())
    return found


def _one(name: str, rank: int, world: int, port: int, folder: Path, watch: bool) -> None:
    """Be one of the processes."""
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        GLOO_SOCKET_IFNAME="lo",
    )  # fmt: skip
    torch.set_num_threads(1)
    warnings.resetwarnings()
    warnings.simplefilter("ignore")

    def watching(model: Any, optimizer: Any) -> Any:
        return observe(model, optimizer, every=1, file=folder / "run.sqlite")

    if world > 1:
        torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=20))
    losses = LOOPS[name](rank, world, watching if watch else _unwatched)
    left: dict[str, Any] = {"losses": [float(loss).hex() for loss in losses]}
    if world > 1:
        group = torch.distributed.distributed_c10d._get_default_group()
        left["spoken"] = group._get_sequence_number_for_group()
    (folder / f"left-{int(watch)}-{rank}.json").write_text(json.dumps(left))
    if world > 1 and name not in ("dies", "raises"):
        torch.distributed.destroy_process_group()
