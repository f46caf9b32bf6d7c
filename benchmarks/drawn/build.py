"""What a network is written from, and its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.drawn.tasks import SPLIT, Task


@dataclass(frozen=True)
class Build:
    """What a network is written from.

    Attributes:
        family: Which kind of network; one of `FAMILIES`.
        depth: Layers, or blocks.
        width: Units a layer, or channels.
        activation: Makes the module of the activation.
        norm: ``batch``, ``layer`` or none.
        skip: Whether blocks are added to what enters them.
        dropout: The share of units that is left out; 0 leaves the module out.
        cell: The recurrent module.
        post: Whether a transformer normalises after its sums.
        start: Lines that set a module ``m`` that has a weight of its own; empty leaves it.
        branch: What a block's output is multiplied by; 1 writes nothing.
        given: Lines that change ``x`` and ``y`` when they are loaded.
        entering: Lines that change ``h`` before the first layer.
        middle: Lines that change ``h`` half way.
        leaving: The output, from ``h``.
        frozen: Whether the lower half is run without gradient.
        loss: Code of the loss.
        optimizer: Code of the optimiser, from ``model``.
        batch: Samples a batch.
        shows: Whether the file has a metric.
    """

    family: str
    depth: int
    width: int
    activation: str = "nn.ReLU()"
    norm: str = ""
    skip: bool = False
    dropout: float = 0.0
    cell: str = "LSTM"
    post: bool = False
    start: str = ""
    branch: float = 1.0
    given: str = ""
    entering: str = ""
    middle: str = ""
    leaving: str = "h"
    frozen: bool = False
    loss: str = "nn.CrossEntropyLoss()"
    optimizer: str = "torch.optim.Adam(model.parameters(), lr=1e-3)"
    batch: int = 64
    shows: bool = True


def _indented(lines: str, by: int) -> str:
    return "".join(" " * by + line + "\n" for line in lines.splitlines())


def _start(build: Build) -> str:
    if not build.start:
        return ""
    return "\n\ndef start(m):\n" + _indented(build.start, 4)


def _times(build: Build, what: str) -> str:
    return what if build.branch == 1.0 else f"{build.branch:g} * {what}"


def _forward(build: Build, lower: str, upper: str, head: str, body: str = "") -> str:
    """Return a forward: what enters, the lower half, the middle, the upper half, the head."""
    below = f"h = {lower}\n"
    if build.frozen:
        below = "with torch.no_grad():\n" + _indented(below, 4)
    text = "h = x\n" + build.entering + body + below + build.middle + f"h = {upper}\n" + head
    return "    def forward(self, x):\n" + _indented(text + f"return {build.leaving}", 8)


def _applied(build: Build) -> str:
    return "        self.apply(start)\n" if build.start else ""


def _norm(build: Build, width: str = "width", kind: str = "1d") -> str:
    if build.norm == "batch":
        return f"nn.BatchNorm{kind}({width})"
    if build.norm == "layer":
        return f"nn.LayerNorm({width})" if kind == "1d" else f"nn.GroupNorm(1, {width})"
    return ""


def _listed(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _dropout(build: Build) -> str:
    return f"nn.Dropout({build.dropout:g})" if build.dropout else ""


_EMBED: Final = "h = self.embed(h)\n"
_HEAD: Final = "h = self.head(h)\n"
_HEAD_OF_ALL: Final = "h = self.head(h.flatten(1))\n"
_HEAD_OF_MEAN: Final = "h = self.head(h.mean(1))\n"
_HEAD_OF_NORM: Final = "h = self.head(self.norm(h).mean(1))\n"


def _stack(build: Build, task: Task) -> str:
    """A perceptron in `nn.Sequential`s."""
    layer = _listed("nn.Linear(width, width)", _norm(build), build.activation, _dropout(build))
    first = _listed("nn.Linear(inputs, width)", _norm(build), build.activation)
    low, high = build.depth // 2, build.depth - build.depth // 2
    return f"""
class Net(nn.Module):
    def __init__(self, inputs={task.shape[0]}, width={build.width}, outputs={task.outputs}):
        super().__init__()
        layers = [{first}]
        for _ in range({low - 1}):
            layers += [{layer}]
        self.lower = nn.Sequential(*layers)
        layers = []
        for _ in range({high}):
            layers += [{layer}]
        self.upper = nn.Sequential(*layers)
        self.head = nn.Linear(width, outputs)
{_applied(build)}
{_forward(build, "self.lower(h)", "self.upper(h)", _HEAD)}"""


def _blocks(build: Build, task: Task) -> str:
    """A perceptron of blocks in module lists, with or without sums."""
    inside = _listed(_norm(build), "nn.Linear(width, width)", build.activation, _dropout(build))
    step = _times(build, "self.inside(h)")
    return f"""
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inside = nn.Sequential({inside})

    def forward(self, h):
        return {"h + " if build.skip else ""}{step}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear({task.shape[0]}, {build.width})
        self.lower = nn.ModuleList(Block({build.width}) for _ in range({build.depth // 2}))
        self.upper = nn.ModuleList(Block({build.width}) for _ in range({build.depth - build.depth // 2}))
        self.head = nn.Linear({build.width}, {task.outputs})
{_applied(build)}
    def run(self, blocks, h):
        for block in blocks:
            h = block(h)
        return h

{_forward(build, "self.run(self.lower, h)", "self.run(self.upper, h)", _HEAD, _EMBED)}"""


def _named(build: Build, task: Task) -> str:
    """A perceptron whose layers have names, and whose activation is called in the forward."""
    half = build.depth // 2
    made = "".join(
        f"        self.fc{n} = nn.Linear({task.shape[0] if n == 1 else build.width}, {build.width})\n"
        for n in range(1, build.depth + 1)
    )
    lines = [f"h = self.act({_times(build, f'self.fc{n}(h)')})" for n in range(1, build.depth + 1)]
    lower, upper = "\n".join(lines[:half]), "\n".join(lines[half:])
    if build.frozen:
        lower = "with torch.no_grad():\n" + _indented(lower, 4).rstrip("\n")
    body = f"h = x\n{build.entering}{lower}\n{build.middle}{upper}\nh = self.out(h)\n"
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
{made}        self.act = {build.activation}
        self.out = nn.Linear({build.width}, {task.outputs})
{_applied(build)}
    def forward(self, x):
{_indented(body + f"return {build.leaving}", 8)}"""


def _conv(build: Build, task: Task) -> str:
    """Convolutions over images, plain or of blocks."""
    width = build.width
    layer = _listed(
        f"nn.Conv2d({width}, {width}, 3, padding=1)", _norm(build, str(width), "2d"),
        build.activation, _dropout(build),
    )  # fmt: skip
    step = _times(build, "self.body(h)")
    return f"""
class ConvBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential({layer})

    def forward(self, h):
        return {"h + " if build.skip else ""}{step}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d({task.shape[0]}, {width}, 3, padding=1)
        self.lower = nn.Sequential(*[ConvBlock() for _ in range({build.depth // 2})])
        self.pool = nn.MaxPool2d(2)
        self.upper = nn.Sequential(*[ConvBlock() for _ in range({build.depth - build.depth // 2})])
        self.head = nn.Linear({width * task.shape[1] * task.shape[2] // 4}, {task.outputs})
{_applied(build)}
{_forward(build, "self.pool(self.lower(self.stem(h)))", "self.upper(h)", _HEAD_OF_ALL)}"""


def _recurrent(build: Build, task: Task) -> str:
    """A recurrent module and a head on its last step."""
    depth = max(1, build.depth)
    body = (
        f"h = x\n{build.entering}h, _ = self.rnn(h)\nh = h[:, -1]\n{build.middle}{_HEAD}"
        f"return {build.leaving}"
    )
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.{build.cell}({task.shape[1]}, {build.width}, num_layers={depth}, batch_first=True)
        self.head = nn.Sequential(nn.Linear({build.width}, {build.width}), {build.activation}, nn.Linear({build.width}, {task.outputs}))
{_applied(build)}
    def forward(self, x):
{_indented(body, 8)}"""


def _unrolled(build: Build, task: Task) -> str:
    """A cell that is called step by step."""
    cell = {"LSTM": "LSTMCell", "GRU": "GRUCell", "RNN": "RNNCell"}[build.cell]
    if cell == "LSTMCell":
        loop = "c = torch.zeros_like(s)\nfor t in range(h.shape[1]):\n    s, c = self.cell(h[:, t], (s, c))\n"
    else:
        loop = "for t in range(h.shape[1]):\n    s = self.cell(h[:, t], s)\n"
    body = f"h = x\n{build.entering}s = h.new_zeros(len(h), {build.width})\n{loop}h = s\n{build.middle}h = self.head(h)\nreturn {build.leaving}"
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.{cell}({task.shape[1]}, {build.width})
        self.head = nn.Linear({build.width}, {task.outputs})
{_applied(build)}
    def forward(self, x):
{_indented(body, 8)}"""


def _temporal(build: Build, task: Task) -> str:
    """Convolutions over time, their mean, and a head."""
    width = build.width
    layer = _listed(
        "nn.Conv1d(width, width, 3, padding=1)", _norm(build, "width", "1d") if build.norm == "batch" else "",
        build.activation, _dropout(build),
    )  # fmt: skip
    step = _times(build, "layer(h)")
    return f"""
class Net(nn.Module):
    def __init__(self, width={width}):
        super().__init__()
        self.first = nn.Conv1d({task.shape[1]}, width, 1)
        self.lower = nn.ModuleList(nn.Sequential({layer}) for _ in range({build.depth // 2}))
        self.upper = nn.ModuleList(nn.Sequential({layer}) for _ in range({build.depth - build.depth // 2}))
        self.head = nn.Linear(width * {task.shape[0]}, {task.outputs})
{_applied(build)}
    def through(self, layers, h):
        for layer in layers:
            h = {"h + " if build.skip else ""}{step}
        return h

{_forward(build, "self.through(self.lower, self.first(h.transpose(1, 2)))", "self.through(self.upper, h)", _HEAD_OF_ALL)}"""


def _transformer(build: Build, task: Task) -> str:
    """An encoder of the library, over steps or tokens."""
    length, kinds = task.shape
    width = build.width
    first = (
        f"nn.Embedding({kinds}, {width})"
        if task.kind == "tokens"
        else f"nn.Linear({kinds}, {width})"
    )
    layer = (
        f"nn.TransformerEncoderLayer({width}, 4, {2 * width}, dropout={build.dropout:g}, "
        f"batch_first=True, norm_first={not build.post})"
    )
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = {first}
        self.place = nn.Parameter(0.02 * torch.randn({length}, {width}))
        layer = {layer}
        self.lower = nn.TransformerEncoder(layer, {max(1, build.depth // 2)}, enable_nested_tensor=False)
        self.upper = nn.TransformerEncoder(layer, {max(1, build.depth - build.depth // 2)}, enable_nested_tensor=False)
        self.norm = nn.LayerNorm({width})
        self.head = nn.Linear({width}, {task.outputs})
{_applied(build)}
{_forward(build, "self.lower(self.embed(h) + self.place)", "self.upper(h)", _HEAD_OF_NORM)}"""


def _attention(build: Build, task: Task) -> str:
    """Attention by hand, as people write it."""
    length, kinds = task.shape
    width = build.width
    first = f"nn.Embedding({kinds}, dim)" if task.kind == "tokens" else f"nn.Linear({kinds}, dim)"
    norm = "nn.LayerNorm(dim)" if build.norm == "layer" else "nn.Identity()"
    if build.post:
        lines = "h = self.norm1(h + self.attend(h))\nreturn self.norm2(h + self.mlp(h))"
    else:
        lines = "h = h + self.attend(self.norm1(h))\nreturn h + self.mlp(self.norm2(h))"
    if not build.skip:
        lines = "h = self.attend(self.norm1(h))\nreturn self.mlp(self.norm2(h))"
    return f"""
class Layer(nn.Module):
    def __init__(self, dim, heads=4):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), {build.activation}, nn.Linear(2 * dim, dim))
        self.norm1, self.norm2 = {norm}, {norm}

    def attend(self, h):
        b, t, d = h.shape
        q, k, v = (f(h).view(b, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = torch.softmax(q @ k.transpose(-2, -1) / (d // self.heads) ** 0.5, dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, t, d))

    def forward(self, h):
{_indented(lines, 8)}

class Net(nn.Module):
    def __init__(self, dim={width}):
        super().__init__()
        self.embed = {first}
        self.place = nn.Parameter(torch.randn({length}, dim) * 0.1)
        self.lower = nn.Sequential(*[Layer(dim) for _ in range({max(1, build.depth // 2)})])
        self.upper = nn.Sequential(*[Layer(dim) for _ in range({max(1, build.depth - build.depth // 2)})])
        self.head = nn.Linear(dim, {task.outputs})
{_applied(build)}
{_forward(build, "self.lower(self.embed(h) + self.place)", "self.upper(h)", _HEAD_OF_MEAN)}"""


FAMILIES: Final = {
    "stack": (_stack, ("rows",)),
    "blocks": (_blocks, ("rows",)),
    "named": (_named, ("rows",)),
    "conv": (_conv, ("images",)),
    "recurrent": (_recurrent, ("steps",)),
    "unrolled": (_unrolled, ("steps",)),
    "temporal": (_temporal, ("steps",)),
    "transformer": (_transformer, ("steps", "tokens")),
    "attention": (_attention, ("steps", "tokens")),
}

_SCORE = {
    "class": "(model(x_{0}).argmax(-1) == y_{0}).float().mean().item()",
    "number": "1 - ((model(x_{0}) - y_{0}) ** 2).mean().item() / y_{0}.var().item()",
    "copy": "1 - ((model(x_{0}) - y_{0}) ** 2).mean().item() / y_{0}.var().item()",
}


def score(task: Task, part: str) -> str:
    """Return code of the held-out metric on ``check`` (the user's) or ``test`` (the judge's)."""
    return _SCORE[task.asks].format(part)


def text(build: Build, task: Task) -> str:
    """Return the file a user would have."""
    loss = build.loss if build.loss.startswith("def ") else f"loss = {build.loss}\n"
    metric = (
        f"""

def metric(model):
    model.eval()
    with torch.no_grad():
        return {score(task, "check")}


HIGHER_IS_BETTER = True
"""
        if build.shows
        else ""
    )
    return f"""import torch
from torch import nn
{task.text}{build.given}{SPLIT}{_start(build)}

{FAMILIES[build.family][0](build, task)}

def model():
    return Net()


def data():
    for rows in torch.randperm(len(x)).split({build.batch}):
        yield x[rows], y[rows]


{loss}

def optimizer(model):
    return {build.optimizer}
{metric}"""
