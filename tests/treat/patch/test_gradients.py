"""Clipping and a warm-up: in the training loop that is there, or with the optimiser."""

from __future__ import annotations

import pytest

from unvanish.core.patches import Safety

HEAD = """import torch
from torch import nn


def batch():
    inputs = 100 * torch.randn(32, 6)
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def model():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

"""
FACTORY = """
def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)  # plain
"""
LOOP = """

def train():
    net = model()
    steps = {make}
    for _ in range(100):
        inputs, target = batch()
        steps.zero_grad()
        loss(net(inputs), target).backward()
        # one step
        steps.step()
"""


def test_a_loop_gets_the_clip_and_the_recipe_its_constant(edited) -> None:
    text = HEAD + FACTORY + LOOP.format(make="optimizer(net)")
    found = edited(text, "clip-norm")
    assert [line for line in found.diff if line.strip("+")] == [
        "+CLIP_GRAD_NORM = 1.0",
        "+        nn.utils.clip_grad_norm_(net.parameters(), max_norm=CLIP_GRAD_NORM)",
    ]
    assert "        # one step\n        nn.utils.clip_grad_norm_" in found.after
    assert found.safety is Safety.SAFE


def test_a_constant_that_is_there_is_lowered(edited) -> None:
    text = f"{HEAD}CLIP_GRAD_NORM = 5.0  # largest\n{FACTORY}"
    assert edited(text, "clip-norm").diff == [
        "-CLIP_GRAD_NORM = 5.0  # largest",
        "+CLIP_GRAD_NORM = 1.0  # largest",
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("clip-norm", "+        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)"),
        (
            "clip-value",
            "+        nn.utils.clip_grad_value_(model.parameters(), clip_value=1.09764)",
        ),
        ("clip-layer", "+            nn.utils.clip_grad_norm_(parameter, max_norm=0.5)"),
    ],
)
def test_without_a_loop_the_optimiser_clips(edited, name, line) -> None:
    found = edited(HEAD + FACTORY, name)
    assert line in found.diff
    assert "+    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # plain" in found.diff
    assert "+    optimizer.register_step_pre_hook(clip)" in found.diff


def test_a_scaler_takes_the_step_where_the_optimiser_clips_by_itself(edited) -> None:
    text = (
        HEAD
        + FACTORY
        + LOOP.format(make="optimizer(net)").replace(
            "        steps.step()", "        scaler.step(steps)"
        )
    )
    assert "+    optimizer.register_step_pre_hook(clip)" in edited(text, "clip-norm").diff


def test_two_treatments_of_one_optimiser(edited) -> None:
    found = edited(HEAD + FACTORY, "clip-layer", "warm-up", rate_factor=0.3)
    assert found.after.count("return optimizer") == 1
    assert "lr=0.03)  # plain" in found.after
    order = [found.after.index(x) for x in ("SGD(", "def clip", "LinearLR", "return optimizer")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    "factory",
    [
        FACTORY,
        "\ndef optimizer(model): return torch.optim.SGD(model.parameters(), lr=0.1)\n",
        "\ndef optimizer(net):\n    made = torch.optim.SGD(\n        net.parameters(),\n"
        "        lr=0.1,\n    )\n    return made\n",
        "\ndef optimizer(model):\n    return (\n"
        "        torch.optim.SGD(model.parameters(), lr=0.1)  # in brackets\n    )\n",
        "\ndef optimizer(model):\n\treturn torch.optim.SGD(model.parameters(), lr=0.1)\n",
    ],
    ids=["return", "one-line", "named", "brackets", "tabs"],
)
def test_a_warm_up_in_every_form_of_factory(edited, factory) -> None:
    found = edited(HEAD + factory, "warm-up")
    assert "start_factor=1 / 500, total_iters=500)" in found.after
    assert "register_step_post_hook(lambda *_: ramp.step())" in found.after


def test_lines_end_as_those_of_the_file(edited) -> None:
    found = edited((HEAD + FACTORY).replace("\n", "\r\n"), "warm-up")
    assert found.after.count("\r\n") == found.after.count("\n")


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        ("\noptimizer = lambda model: torch.optim.SGD(model.parameters(), lr=0.1)\n", "a function"),
        (
            "\nRATE = 0.1\n\ndef optimizer(model):\n"
            "    return wrapped(torch.optim.SGD(model.parameters(), lr=RATE))\n\n"
            "def wrapped(optimizer):\n    return optimizer\n",
            "returns more than the optimiser",
        ),
    ],
    ids=["lambda", "wrapped"],
)
def test_a_factory_that_cannot_be_followed(edited, factory, why) -> None:
    assert why in edited(HEAD + factory, "warm-up").unsafe


def test_a_parameter_that_the_optimiser_does_not_hold_is_found_out(edited) -> None:
    text = f"""{HEAD}
def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1) if model is None else torch.optim.SGD(
        model[2].parameters(), lr=0.1
    )
"""
    assert "more than once" in edited(text, "clip-layer").unsafe


CLIPPED = "nn.utils.clip_grad_norm_({}.parameters(), max_norm=CLIP_GRAD_NORM)"


@pytest.mark.parametrize(
    ("loop", "line"),
    [
        (
            """
class Trainer:
    def __init__(self, net):
        self.net = net
        self.steps = optimizer(net)

    def fit(self):
        for _ in range(10):
            inputs, target = batch()
            loss(self.net(inputs), target).backward()
            self.steps.step()
""",
            f"+            {CLIPPED.format('self.net')}",
        ),
        (
            """
def train(net, steps=3):
    chosen = torch.optim.SGD(net.parameters(), lr=0.5)
    ramp = torch.optim.lr_scheduler.StepLR(chosen, 3)
    for n in range(steps):
        inputs, target = batch()
        loss(net(inputs), target).backward()
        if n % 4 == 0:
            chosen.step()
            ramp.step()
""",
            f"+            {CLIPPED.format('net')}",
        ),
        (
            """
if __name__ == "__main__":
    net = model()
    steps = optimizer(net)
    for _ in range(10):
        inputs, target = batch()
        loss(net(inputs), target).backward(); steps.step(); steps.zero_grad()
""",
            "+        loss(net(inputs), target).backward(); "
            f"{CLIPPED.format('net')}; steps.step(); steps.zero_grad()",
        ),
    ],
    ids=["class", "every fourth", "one line"],
)
def test_loops_in_other_styles(edited, loop, line) -> None:
    found = edited(HEAD + FACTORY + loop, "clip-norm")
    assert line in found.diff
    assert "+CLIP_GRAD_NORM = 1.0" in found.diff
    assert found.after.count("clip_grad_norm_") == 1


def test_two_players_are_not_told_apart_by_a_loop(edited) -> None:
    text = """
def train(one, other):
    first = torch.optim.SGD(one.parameters(), lr=0.5)
    second = torch.optim.SGD(other.parameters(), lr=0.5)
    for _ in range(3):
        inputs, target = batch()
        loss(one(inputs) - other(inputs), target).backward()
        first.step()
        second.step()
"""
    found = edited(HEAD + FACTORY + text, "clip-norm")
    assert "+    optimizer.register_step_pre_hook(clip)" in found.diff
    assert "CLIP_GRAD_NORM" not in found.after


def test_a_loop_that_clips_already(edited) -> None:
    clipped = "        nn.utils.clip_grad_norm_(net.parameters(), 5.0)\n        # one step"
    text = (
        HEAD + FACTORY + LOOP.format(make="optimizer(net)").replace("        # one step", clipped)
    )
    assert "clipped before line" in edited(text, "clip-norm").unsafe


def test_a_finished_optimiser_is_clipped_in_its_loop_alone(edited) -> None:
    text = HEAD.replace("def model():\n    return ", "net = ") + (
        "\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
    )
    loop = """
if __name__ == "__main__":
    for _ in range(10):
        inputs, target = batch()
        loss(net(inputs), target).backward()
        optimizer.step()
"""
    assert f"+        {CLIPPED.format('net')}" in edited(text + loop, "clip-norm").diff
    assert "not given the network" in edited(text, "clip-norm").unsafe


def test_without_an_optimiser_nothing_is_known(edited) -> None:
    assert "no optimizer(model)" in edited(HEAD, "clip-norm").unsafe
