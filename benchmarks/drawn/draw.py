"""Draw a network and what is wrong with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.drawn.build import FAMILIES, Build
from benchmarks.drawn.tasks import TASKS, Task

Fault = Callable[[Build, Task, random.Random], "Build | None"]

RECURRENT: Final = ("recurrent", "unrolled")
PLAIN: Final = ("stack", "blocks", "named", "conv", "temporal")
PERCEPTRON: Final = ("stack", "blocks", "named")


@dataclass(frozen=True)
class Drawn:
    """A network as it should be, and as it came.

    Attributes:
        seed: What it was drawn from.
        task: What it is to learn.
        fault: What is wrong with it; empty if nothing was done.
        well: The network as it should be.
        given: The network as the tool sees it.
    """

    seed: int
    task: Task
    fault: str
    well: Build
    given: Build


def _adam(rate: float, kind: str = "Adam", more: str = "") -> str:
    return f"torch.optim.{kind}(model.parameters(), lr={rate:g}{more})"


def _set_loss(build: Build, task: Task, rng: random.Random) -> Build:
    if task.asks != "class":
        return replace(
            build, loss=rng.choice(["nn.MSELoss()", "nn.MSELoss()", "nn.SmoothL1Loss()"])
        )
    if rng.random() < 0.25:
        return replace(build, loss="nn.NLLLoss()", leaving="torch.log_softmax(h, dim=-1)")
    return build


def well(task: Task, rng: random.Random) -> Build:
    """Return a network as a sensible person would write it for a task."""
    family = rng.choice([name for name, (_, kinds) in FAMILIES.items() if task.kind in kinds])
    build = Build(family, 4, 64, shows=rng.random() < 0.6, batch=rng.choice([32, 64, 64, 100]))
    activation = rng.choice(
        ["nn.ReLU()", "nn.ReLU()", "nn.ReLU()", "nn.GELU()", "nn.SiLU()", "nn.ELU()", "nn.Tanh()",
         "nn.LeakyReLU(0.1)"]
    )  # fmt: skip
    build = replace(build, activation=activation)
    rate = rng.choice([1e-3, 2e-3, 3e-3])
    if family in PLAIN:
        depth = rng.choice([3, 4, 5, 6, 8]) if family in PERCEPTRON else rng.choice([3, 4, 6])
        norm, skip = "", False
        if rng.random() < 0.35 and family != "named":
            norm, skip = rng.choice([("batch", False), ("batch", True), ("layer", True)])
            depth = rng.choice([6, 10, 16]) if skip else depth
            if family == "temporal" and norm == "layer":
                norm = "batch"
        width = rng.choice([32, 64, 128]) if family in PERCEPTRON else rng.choice([16, 24, 32])
        build = replace(build, depth=depth, norm=norm, skip=skip, width=width)
        if rng.random() < 0.3 and not norm:
            build = replace(build, start=_initialised("nn.init.kaiming_normal_(m.weight)"))
        if rng.random() < 0.2:
            build = replace(build, dropout=0.1)
        choice = rng.random()
        if choice < 0.2 and norm:
            build = replace(build, optimizer=_adam(0.05, "SGD", ", momentum=0.9"))
        else:
            build = replace(build, optimizer=_adam(rate, rng.choice(["Adam", "AdamW", "AdamW"])))
    elif family in RECURRENT:
        cell = rng.choice(["LSTM", "GRU", "GRU"])
        depth = rng.choice([1, 1, 2])
        build = replace(build, cell=cell, depth=depth, width=rng.choice([32, 48, 64]))
        build = replace(build, optimizer=_adam(rng.choice([3e-3, 5e-3, 1e-2])))
    else:
        width, depth = rng.choice([32, 48, 64]), rng.choice([2, 2, 4])
        build = replace(build, width=width, depth=depth, norm="layer", skip=True)
        if family == "attention":
            build = replace(build, activation=rng.choice(["nn.ReLU()", "nn.GELU()"]))
        build = replace(build, optimizer=_adam(rng.choice([5e-4, 1e-3]), "AdamW"))
    return _set_loss(build, task, rng)


_WITH = "if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d)):\n    {}\n"


def _initialised(how: str, bias: str = "nn.init.zeros_(m.bias)") -> str:
    return _WITH.format(how + (f"\n    {bias}" if bias else ""))


def _deep(build: Build, rng: random.Random, choices: tuple[int, ...]) -> Build:
    return replace(build, depth=rng.choice(choices), norm="", skip=False, start="")


def _sigmoid(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in PLAIN:
        return None
    act = rng.choice(["nn.Sigmoid()", "nn.Sigmoid()", "nn.LogSigmoid()", "nn.Hardsigmoid()"])
    return replace(_deep(build, rng, (5, 8, 12, 20)), activation=act)


def _odd_activation(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in PLAIN:
        return None
    acts = ["nn.Softsign()", "nn.Tanhshrink()", "nn.Softmax(dim=1)", "nn.Hardtanh(-0.1, 0.1)",
            "nn.Softshrink(0.5)", "nn.Threshold(0.5, 0.0)", "nn.Hardshrink()", "nn.ReLU6()"]  # fmt: skip
    return replace(_deep(build, rng, (6, 10, 20)), activation=rng.choice(acts))


def _deep_plain(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in PLAIN:
        return None
    act = rng.choice(["nn.ReLU()", "nn.Tanh()", "nn.LeakyReLU(0.01)", "nn.GELU()"])
    return replace(_deep(build, rng, (20, 30, 50)), activation=act)


def _small_start(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in PLAIN or build.norm:
        return None
    std = rng.choice([0.001, 0.01, 0.02])
    return replace(
        build, depth=max(build.depth, rng.choice([4, 6, 8])),
        start=_initialised(f"nn.init.normal_(m.weight, std={std})"),
    )  # fmt: skip


def _large_start(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in PLAIN or build.norm:
        return None
    how = rng.choice(
        ["nn.init.normal_(m.weight)", "nn.init.uniform_(m.weight, -1, 1)",
         "nn.init.xavier_uniform_(m.weight, gain=6)", "nn.init.uniform_(m.weight)",
         "nn.init.orthogonal_(m.weight, gain=5)", "m.weight.data *= 10"]
    )  # fmt: skip
    return replace(build, start=_initialised(how))


def _constant_start(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in PLAIN:
        return None
    how = rng.choice(["nn.init.zeros_(m.weight)", "nn.init.constant_(m.weight, 0.05)",
                      "nn.init.constant_(m.weight, 0.1)", "m.weight.data.fill_(1 / m.weight[0].numel())"])  # fmt: skip
    return replace(build, start=_initialised(how))


def _dead(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in PLAIN or build.norm or build.skip:
        return None
    bias = rng.choice([-1, -3, -10])
    return replace(
        build, activation="nn.ReLU()",
        start=_initialised("nn.init.kaiming_uniform_(m.weight)", f"m.bias.data.fill_({bias})"),
    )  # fmt: skip


def _positive_bias(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in PLAIN or build.norm:
        return None
    return replace(
        build, activation=rng.choice(["nn.Tanh()", "nn.Sigmoid()"]),
        start=_initialised("nn.init.xavier_normal_(m.weight)", f"m.bias.data.fill_({rng.choice([4, 8])})"),
    )  # fmt: skip


def _output(build: Build, task: Task, rng: random.Random) -> Build | None:
    if task.asks != "class":
        how = rng.choice(
            ["torch.sigmoid(h)", "torch.relu(h)", "torch.tanh(h) * 0.1", "torch.softmax(h, dim=-1)"]
        )
        if task.asks == "copy" and how in ("torch.sigmoid(h)", "torch.relu(h)"):
            return None
        return replace(build, leaving=how)
    how = rng.choice(["torch.softmax(h, dim=-1)", "torch.softmax(h, dim=-1)", "torch.sigmoid(h)",
                      "torch.relu(h - 5)", "torch.softmax(h, dim=0)"])  # fmt: skip
    return replace(build, leaving=how, loss="nn.CrossEntropyLoss()")


def _wrong_pair(build: Build, task: Task, rng: random.Random) -> Build | None:
    if task.asks != "class":
        return None
    one_hot = f"nn.functional.one_hot(target, {task.outputs}).float()"
    choice = rng.choice(["sigmoid", "softmax", "nll", "far"])
    if choice == "nll":
        return replace(build, leaving="h", loss="nn.NLLLoss()")
    if choice == "far":
        loss = f"def loss(output, target):\n    return nn.functional.mse_loss(torch.sigmoid(30 * output), {one_hot})\n"
        return replace(build, leaving="h", loss=loss)
    act = "sigmoid" if choice == "sigmoid" else "softmax"
    more = "" if act == "sigmoid" else ", dim=-1"
    loss = f"def loss(output, target):\n    return nn.functional.mse_loss(output, {one_hot})\n"
    return replace(build, leaving=f"torch.{act}(20 * h{more})", loss=loss)


def _rate(build: Build) -> float:
    return float(build.optimizer.partition("lr=")[2].rstrip(")").partition(",")[0])


def _other_rate(build: Build, factor: float) -> Build:
    old = _rate(build)
    return replace(build, optimizer=build.optimizer.replace(f"lr={old:g}", f"lr={old * factor:g}"))


def _fast(build: Build, task: Task, rng: random.Random) -> Build:
    return _other_rate(build, rng.choice([30.0, 100.0, 300.0, 1000.0]))


def _slow(build: Build, task: Task, rng: random.Random) -> Build:
    return _other_rate(build, rng.choice([1e-2, 1e-3, 1e-4]))


def _sgd(build: Build, task: Task, rng: random.Random) -> Build | None:
    rate, more = rng.choice([(1e-3, ""), (1e-4, ", momentum=0.9"), (1e-4, ""), (30.0, ""), (0.1, ", momentum=0.999"),
                             (0.01, ", weight_decay=0.5"), (0.05, ", weight_decay=3.0")])  # fmt: skip
    return replace(build, optimizer=_adam(rate, "SGD", more))


def _adam_settings(build: Build, task: Task, rng: random.Random) -> Build:
    kind, more = rng.choice([("Adam", ", eps=1.0"), ("Adam", ", eps=10.0"), ("Adam", ", weight_decay=3.0"),
                             ("AdamW", ", weight_decay=100.0"), ("RMSprop", ", eps=10.0"), ("Adam", ", betas=(0.9999, 0.9999)"),
                             ("Adagrad", ""), ("Adadelta", "")])  # fmt: skip
    return replace(build, optimizer=_adam(_rate(build), kind, more))


def _input_scale(build: Build, task: Task, rng: random.Random) -> Build | None:
    if task.kind == "tokens":
        return None
    how = rng.choice(
        [
            "x = x * 1000\n",
            "x = x * 255\n",
            "x = x + 300\n",
            "x = x * 1e-3\n",
            "x = 1000 + 0.1 * x\n",
            "x = x * 1e4\n",
        ]
    )
    if task.asks == "copy":
        return None
    return replace(build, given=how)


def _input_mixed(build: Build, task: Task, rng: random.Random) -> Build | None:
    if task.kind != "rows" or task.asks == "copy":
        return None
    lines = (
        f"scales = 10 ** (4 * torch.rand({task.shape[0]}, generator=torch.Generator().manual_seed(8)))\n"
        "x = x * scales\n"
    )
    return replace(build, given=lines)


def _target_scale(build: Build, task: Task, rng: random.Random) -> Build | None:
    if task.asks != "number":
        return None
    return replace(
        build,
        given=rng.choice(
            ["y = y * 1000\n", "y = 500 + 50 * y\n", "y = y * 1e-4\n", "y = y + 100\n"]
        ),
    )


def _cut(build: Build, task: Task, rng: random.Random) -> Build | None:
    return replace(
        build, middle=rng.choice(["h = h.detach()\n", "h = h.data\n", "h = torch.tensor(h.tolist())\n"]),
        start=build.start or _initialised("nn.init.normal_(m.weight, std=0.02)") if build.family not in RECURRENT else build.start,
    )  # fmt: skip


def _frozen(build: Build, task: Task, rng: random.Random) -> Build | None:
    return replace(build, frozen=True) if build.family not in RECURRENT else None


def _hard(build: Build, task: Task, rng: random.Random) -> Build:
    how = rng.choice(["h = torch.sign(h)\n", "h = torch.round(h)\n", "h = (h > 0).float()\n", "h = h.clamp(-1e-3, 1e-3)\n",
                      "h = torch.floor(h)\n", "h = torch.clamp(h, min=5)\n", "h = torch.heaviside(h, torch.tensor(0.0))\n"])  # fmt: skip
    return replace(build, middle=how)


def _shrunk(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family in ("blocks", "named", "conv", "temporal") and not build.norm:
        times = rng.choice([0.01, 0.1, 0.1, 10.0])
        return replace(
            build,
            branch=times,
            skip=build.skip or (times > 1 and build.family != "named"),
            depth=max(6, build.depth),
        )
    how = rng.choice(
        [
            "h = h * 1e-4\n",
            "h = h * 1e-3\n",
            "h = h / 1000\n",
            "h = h * 100\n",
            "h = h * 1000\n",
            "h = h * 1e-6\n",
        ]
    )
    return replace(build, middle=how)


def _squashed(build: Build, task: Task, rng: random.Random) -> Build:
    how = rng.choice(["h = torch.sigmoid(50 * h)\n", "h = torch.tanh(100 * h)\n", "h = torch.sigmoid(h - 12)\n",
                      "h = torch.softmax(h, -1)\n", "h = torch.softmax(50 * h, -1)\n", "h = torch.exp(-10 * h ** 2)\n", "h = torch.relu(h - 10)\n"])  # fmt: skip
    return replace(build, middle=how)


def _left_out(build: Build, task: Task, rng: random.Random) -> Build | None:
    what = rng.choice(
        [
            "list(model.parameters())[-1:]",
            "list(model.parameters())[-2:]",
            "list(model.parameters())[:2]",
            "model.lower.parameters()",
        ]
    )
    if "lower" in what and build.family in (*RECURRENT, "named"):
        return None
    return replace(build, optimizer=build.optimizer.replace("model.parameters()", what))


def _not_asked(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family in ("named", *RECURRENT):
        return None
    what = rng.choice(["self.lower.requires_grad_(False)", "self.upper.requires_grad_(False)"])
    return replace(build, start="", entering=f"{what}\n")


def _quiet_loss(build: Build, task: Task, rng: random.Random) -> Build | None:
    times = rng.choice(["1e-9", "1e-7", "1e-12"])
    name = {"class": "cross_entropy", "number": "mse_loss", "copy": "mse_loss"}[task.asks]
    return replace(
        build,
        leaving="h",
        loss=f"def loss(output, target):\n    return {times} * nn.functional.{name}(output, target)\n",
    )


def _dropped(build: Build, task: Task, rng: random.Random) -> Build | None:
    return (
        replace(build, dropout=rng.choice([0.8, 0.9, 0.97]))
        if build.family not in RECURRENT and build.family not in ("named", "attention")
        else None
    )


def _recurrent_start(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in RECURRENT:
        return None
    how = rng.choice([
        "if isinstance(m, nn.{kind}):\n    for p in m.parameters():\n        nn.init.normal_(p, std=1.0)\n",
        "if isinstance(m, nn.{kind}):\n    for p in m.parameters():\n        nn.init.uniform_(p, -0.001, 0.001)\n",
        "if isinstance(m, nn.{kind}):\n    for name, p in m.named_parameters():\n        if 'bias' in name:\n            p.data.fill_(-4)\n",
        "if isinstance(m, nn.{kind}):\n    for name, p in m.named_parameters():\n        if 'weight_hh' in name:\n            p.data.mul_(0.05)\n",
        "for p in m.parameters(recurse=False):\n    nn.init.constant_(p, 0.01)\n",
    ])  # fmt: skip
    kind = build.cell if build.family == "recurrent" else build.cell + "Cell"
    return replace(build, start=how.format(kind=kind))


def _plain_cell(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in RECURRENT:
        return None
    start = rng.choice(["", "if isinstance(m, (nn.RNN, nn.RNNCell)):\n    for p in m.parameters():\n        nn.init.normal_(p, std=0.5)\n",
                        "if isinstance(m, (nn.RNN, nn.RNNCell)):\n    for p in m.parameters():\n        nn.init.normal_(p, std=0.02)\n"])  # fmt: skip
    return replace(build, cell="RNN", start=start)


def _attention_start(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in ("transformer", "attention"):
        return None
    how = rng.choice([
        "if isinstance(m, nn.Linear):\n    nn.init.normal_(m.weight, std=1.0)\n",
        "if isinstance(m, nn.Embedding):\n    nn.init.normal_(m.weight, std=100.0)\nif isinstance(m, nn.Linear):\n    nn.init.xavier_normal_(m.weight, gain=4)\n",
        "for p in m.parameters(recurse=False):\n    nn.init.normal_(p, std=0.5)\n",
        "for p in m.parameters(recurse=False):\n    nn.init.zeros_(p)\n",
        "for p in m.parameters(recurse=False):\n    nn.init.constant_(p, 0.02)\n",
        "if isinstance(m, nn.LayerNorm):\n    nn.init.constant_(m.weight, 1e-3)\n",
    ])  # fmt: skip
    return replace(build, start=how)


def _deep_post(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in ("transformer", "attention"):
        return None
    return _other_rate(
        replace(build, post=True, depth=rng.choice([8, 12])), rng.choice([1.0, 3.0, 10.0])
    )


def _no_sum(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family != "attention":
        return None
    return replace(build, skip=False, norm=rng.choice(["", "layer"]), depth=rng.choice([4, 6, 8]))


def _unstable_sum(build: Build, task: Task, rng: random.Random) -> Build | None:
    if build.family not in ("blocks", "conv", "temporal"):
        return None
    return replace(
        build,
        skip=True,
        norm="",
        depth=rng.choice([16, 24, 40]),
        branch=rng.choice([1.0, 2.0, 5.0]),
    )


FAULTS: Final[dict[str, Fault]] = {
    "sigmoid": _sigmoid, "odd activation": _odd_activation, "deep and plain": _deep_plain,
    "small start": _small_start, "large start": _large_start, "constant start": _constant_start,
    "dead": _dead, "biased": _positive_bias, "output": _output, "wrong pair": _wrong_pair,
    "fast": _fast, "slow": _slow, "SGD": _sgd, "settings of Adam": _adam_settings,
    "input scale": _input_scale, "mixed inputs": _input_mixed, "target scale": _target_scale,
    "cut": _cut, "no_grad": _frozen, "hard": _hard, "scaled": _shrunk, "squashed": _squashed,
    "left out": _left_out, "not asked": _not_asked, "quiet loss": _quiet_loss, "dropped": _dropped,
    "recurrent start": _recurrent_start, "plain cell": _plain_cell,
    "attention start": _attention_start, "deep post-norm": _deep_post, "no sum": _no_sum,
    "unstable sum": _unstable_sum,
}  # fmt: skip


def draw(seed: int) -> Drawn:
    """Draw a network; one in five is left as it should be."""
    rng = random.Random(seed)
    task = TASKS[rng.choice([*TASKS])]
    build = well(task, rng)
    if rng.random() < 0.2:
        return Drawn(seed, task, "", build, build)
    while True:
        name = rng.choice([*FAULTS])
        given = FAULTS[name](build, task, rng)
        if given is not None and given != build:
            return Drawn(seed, task, name, build, given)
