"""Lines that cut a gradient off lose what cuts; what is shared with a target network stays."""

from __future__ import annotations

import pytest

from unvanish.core.patches import Safety

HEAD = """import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def batch():
    inputs = torch.randn(32, 6)
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.more = {more}
        self.head = nn.Linear(8, 3)

"""
PLAIN = HEAD.format(more="nn.Linear(8, 8)")


def test_a_detach(edited) -> None:
    found = edited(
        PLAIN
        + """    def forward(self, x):
        x = torch.tanh(self.body(x)).detach()  # features
        return self.head(torch.tanh(self.more(x)))
""",
        "reattach",
    )
    assert found.diff == [
        "-        x = torch.tanh(self.body(x)).detach()  # features",
        "+        x = torch.tanh(self.body(x))  # features",
    ]
    assert found.safety is Safety.SAFE


def test_data_is_read_as_it_is(edited) -> None:
    found = edited(
        PLAIN
        + """    def forward(self, x):
        x = torch.tanh(self.body(x))
        return self.head(torch.tanh(self.more(x.data)))
""",
        "reattach",
    )
    assert "+        return self.head(torch.tanh(self.more(x)))" in found.diff


def test_a_block_without_gradients_moves_to_the_left(edited) -> None:
    found = edited(
        PLAIN
        + """    def forward(self, x):
        with torch.no_grad():  # cheap
            # features
            x = self.body(x)

            x = torch.tanh(
                x
            )
        return self.head(torch.tanh(self.more(x)))
""",
        "reattach",
    )
    assert found.after.endswith(
        """    def forward(self, x):
        # cheap
        # features
        x = self.body(x)

        x = torch.tanh(
            x
        )
        return self.head(torch.tanh(self.more(x)))
"""
    )


def test_a_method_without_gradients(edited) -> None:
    found = edited(
        PLAIN
        + """    @torch.no_grad()
    def features(self, x):
        return torch.tanh(self.body(x))

    def forward(self, x):
        return self.head(torch.tanh(self.more(self.features(x))))
""",
        "reattach",
    )
    assert found.diff == ["-    @torch.no_grad()"]


def test_text_over_several_lines_is_not_moved(edited) -> None:
    found = edited(
        PLAIN
        + '''    def forward(self, x):
        with torch.no_grad():
            note = """one
            two"""
            x = torch.tanh(self.body(x))
        return self.head(torch.tanh(self.more(x)))
''',
        "reattach",
    )
    assert "text over several lines" in found.unsafe


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize(
    ("call", "becomes"),
    [
        (
            "checkpoint(self.run, x, use_reentrant=True)  # memory",
            "checkpoint(self.run, x, use_reentrant=False)  # memory",
        ),
        (
            "torch.utils.checkpoint.checkpoint(self.run, x, use_reentrant=True)",
            "torch.utils.checkpoint.checkpoint(self.run, x, use_reentrant=False)",
        ),
        (
            "checkpoint(\n            self.run,\n            x,\n            use_reentrant=True,\n"
            "        )",
            "            use_reentrant=False,",
        ),
    ],
    ids=["imported", "dotted", "lines"],
)
def test_a_checkpoint(edited, call, becomes) -> None:
    found = edited(
        PLAIN
        + f"""    def forward(self, x):
        x = {call}
        return self.head(x)

    def run(self, x):
        return torch.tanh(self.more(torch.tanh(self.body(x))))
""",
        "checkpoint-gradient",
    )
    assert next(line for line in found.diff if line.startswith("+")).endswith(becomes)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_a_checkpoint_by_another_name_is_left(edited) -> None:
    found = edited(
        PLAIN
        + """    def forward(self, x):
        again = checkpoint
        x = again(self.run, x, use_reentrant=True)
        return self.head(x)

    def run(self, x):
        return torch.tanh(self.more(torch.tanh(self.body(x))))
""",
        "checkpoint-gradient",
    )
    assert "cannot be followed" in found.unsafe


@pytest.mark.parametrize(
    ("more", "used", "becomes"),
    [
        (
            "[nn.Linear(8, 8) for _ in range(3)]  # deep",
            "self.more[2](self.more[1](self.more[0](x)))",
            "nn.ModuleList(nn.Linear(8, 8) for _ in range(3))  # deep",
        ),
        (
            "[nn.Linear(8, 8), nn.Linear(8, 8)]",
            "self.more[1](self.more[0](x))",
            "nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])",
        ),
        ('{"a": nn.Linear(8, 8)}', 'self.more["a"](x)', 'nn.ModuleDict({"a": nn.Linear(8, 8)})'),
        (
            "torch.ones(8, requires_grad=True)",
            "self.more * x",
            "nn.Parameter(torch.ones(8, requires_grad=True))",
        ),
    ],
    ids=["comprehension", "list", "dict", "tensor"],
)
def test_layers_that_nothing_knows_of(edited, more, used, becomes) -> None:
    forward = (
        f"    def forward(self, x):\n        x = torch.tanh(self.body(x))\n        x = {used}\n"
    )
    text = HEAD.replace("{more}", more) + forward + "        return self.head(torch.tanh(x))\n"
    assert f"+        self.more = {becomes}" in edited(text, "train-parameter").diff


def test_layers_that_are_given_in_two_places_are_left(edited) -> None:
    text = HEAD.format(more="[nn.Linear(8, 8)]").replace(
        "        self.head", "        self.more = [*self.more, nn.Linear(8, 8)]\n        self.head"
    )
    forward = """    def forward(self, x):
        x = torch.tanh(self.body(x))
        for layer in self.more:
            x = torch.tanh(layer(x))
        return self.head(x)
"""
    assert "made in 2 places" in edited(text + forward, "train-parameter").unsafe


@pytest.mark.parametrize(
    ("lines", "becomes"),
    [
        (
            "        h = self.body(x)\n        h = torch.round(h)  # code\n",
            ["+        h = h + (torch.round(h) - h).detach()  # code"],
        ),
        (
            "        h = self.body(x)\n        h = h.sign()\n",
            ["+        h = h.clamp(-1.0, 1.0) + (h.sign() - h.clamp(-1.0, 1.0)).detach()"],
        ),
        (
            "        h = torch.sign(self.body(x))  # code\n",
            [
                "+        h = self.body(x)  # code",
                "+        h = h.clamp(-1.0, 1.0) + (torch.sign(h) - h.clamp(-1.0, 1.0)).detach()",
            ],
        ),
    ],
    ids=["round", "method", "expression"],
)
def test_a_step_passes_the_gradient(edited, lines, becomes) -> None:
    end = "        return self.head(torch.tanh(self.more(h)))\n"
    found = edited(PLAIN + "    def forward(self, x):\n" + lines + end, "straight-through")
    assert [line for line in found.diff if line.startswith("+")] == becomes


def test_a_step_within_an_expression_is_left(edited) -> None:
    found = edited(
        PLAIN
        + """    def forward(self, x):
        return self.head(torch.tanh(self.more(torch.sign(self.body(x)))))
""",
        "straight-through",
    )
    assert "has no name" in found.unsafe


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        ("        x = x.detach()  # features\n", "        # features\n"),
        ("        x = x.data\n", ""),
        (
            "        if x.ndim:\n            x = x.detach()\n",
            "        if x.ndim:\n            pass\n",
        ),
    ],
)
def test_a_line_that_does_nothing_more_goes_and_its_comment_stays(edited, cut, left) -> None:
    lines = "    def forward(self, x):\n        x = torch.tanh(self.body(x))\n{}"
    lines += "        return self.head(torch.tanh(self.more(x)))\n"
    found = edited(PLAIN + lines.format(cut), "reattach")
    assert found.after.endswith(lines.format(left))


def test_the_comment_of_a_decorator_stays(edited) -> None:
    found = edited(
        PLAIN
        + """    @torch.no_grad()  # frozen for now
    def features(self, x):
        return torch.tanh(self.body(x))

    def forward(self, x):
        return self.head(torch.tanh(self.more(self.features(x))))
""",
        "reattach",
    )
    assert found.diff == ["-    @torch.no_grad()  # frozen for now", "+    # frozen for now"]


DRAWS = """import torch
from torch import nn
from torch.distributions import Normal, kl_divergence


def batch():
    inputs = torch.randn(32, 6)
    return inputs, inputs


def loss(output, target):
    return nn.functional.mse_loss(output[0], target) + 0.1 * output[1].mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(4, 6)

    def forward(self, x):
        mean, size = self.body(x).chunk(2, dim=-1)
        q = Normal(mean, nn.functional.softplus(size))
        z = {drawn}
        return self.head(torch.tanh(z)), kl_divergence(q, Normal(0.0, 1.0))
"""


def test_a_draw_without_a_gradient(edited) -> None:
    found = edited(
        DRAWS.format(drawn="q.sample() if self.training else q.mean  # a code"), "reattach"
    )
    assert found.diff == [
        "-        z = q.sample() if self.training else q.mean  # a code",
        "+        z = q.rsample() if self.training else q.mean  # a code",
    ]
    assert found.safety is Safety.SAFE


def test_several_draws_in_a_line_are_not_edited(edited) -> None:
    found = edited(DRAWS.format(drawn="0.5 * (q.sample() + q.sample((1,))[0])"), "reattach")
    assert "several calls of sample()" in found.unsafe


EQUATION = """import torch
from torch import autograd, nn


def batch():
    inputs = torch.rand(32, 1)
    return inputs, torch.zeros(32, 1)


def loss(output, target):
    return nn.functional.mse_loss(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.u = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, t):
        t = t.clone().requires_grad_(True)
        u = self.u(t)
        options = {{"retain_graph": True}}
        du = {taken}
        return du + u - 1.0
"""


@pytest.mark.parametrize(
    ("taken", "becomes"),
    [
        (
            "torch.autograd.grad(u.sum(), t, retain_graph=True)[0]  # the slope",
            "torch.autograd.grad(u.sum(), t, retain_graph=True, create_graph=True)[0]  # the slope",
        ),
        (
            "autograd.grad(u.sum(), inputs=t, create_graph=False, retain_graph=True)[0]",
            "autograd.grad(u.sum(), inputs=t, create_graph=True, retain_graph=True)[0]",
        ),
        (
            "autograd.grad(u, t, torch.ones_like(u.detach()), True, False)[0]",
            "autograd.grad(u, t, torch.ones_like(u.detach()), True, True)[0]",
        ),
    ],
)
def test_a_derivative_without_a_graph(edited, taken, becomes) -> None:
    found = edited(EQUATION.format(taken=taken), "reattach")
    assert found.diff == [f"-        du = {taken}", f"+        du = {becomes}"]
    assert found.safety is Safety.SAFE


def test_a_derivative_whose_options_stand_elsewhere_is_not_edited(edited) -> None:
    found = edited(
        EQUATION.format(taken="torch.autograd.grad(u.sum(), t, **options)[0]"), "reattach"
    )
    assert "cannot be read off the call" in found.unsafe


LOOP = """import random

import torch
from torch import nn


def batch():
    inputs = torch.randn(32, 12, 6)
    return inputs, inputs[:, 0, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(6, 8)
        self.head = nn.Linear(8, 3)
        self.trace = []

    def forward(self, x):
        h = c = x.new_zeros(len(x), 8)
        last = x.shape[1] - 1
        self.trace = []
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
{cuts}
            self.trace.append(h.detach().mean(0))
        return self.head(h)
"""


@pytest.mark.parametrize(
    ("cuts", "left"),
    [
        ("(h, c) = (h.detach(), c.detach()) if t < last else (h, c)  # memory", ["# memory"]),
        ("h, c = (h, c) if t == last else (h.detach(), c.detach())", []),
        ("h, c = (h.detach() if t < last else h), (c.detach() if t < last else c)", []),
        ("h, c = (h.data if t < len(x[0]) - 1 else h, c.data if t < x.size(1) - 1 else c)", []),
        ("h, c = (1.0 * h).detach(), (c + 0.0).detach()", ["h, c = (1.0 * h), (c + 0.0)"]),
        (
            "h, c = torch.stack((h, c) if t == last else (h.detach(), c.detach())).unbind()",
            ["h, c = torch.stack((h, c)).unbind()"],
        ),
        (
            "h, c = (h.detach(), c.detach()) if random.random() < 2.0 else (h, c)",
            ["h, c = (h, c) if random.random() < 2.0 else (h, c)"],
        ),
        (
            "h, c = (h.detach(), c.detach()) if t < last else (2.0 * h, c)",
            ["h, c = (h, c) if t < last else (2.0 * h, c)"],
        ),
    ],
    ids=["tuple", "turned", "each", "data", "brackets", "argument", "asks by chance", "other way"],
)
def test_a_conditional_that_gives_the_same_either_way_goes(edited, cuts, left) -> None:
    found = edited(LOOP.format(cuts=" " * 12 + cuts), "reattach")
    expected = [f"-            {cuts}", *(f"+            {line}" for line in left)]
    assert found.diff == expected
    assert found.safety is Safety.SAFE


def test_a_conditional_of_several_lines(edited) -> None:
    cuts = """            # truncated
            h, c = (
                (h.detach(), c.detach())
                if t < last
                else (h, c)
            )
"""
    found = edited(LOOP.format(cuts=cuts), "reattach")
    assert found.after == LOOP.format(cuts="            # truncated\n")


def test_behind_another_statement_of_the_line(edited) -> None:
    cuts = "            h, c = h.detach(), c; c = c.detach() if t < last else c"
    found = edited(LOOP.format(cuts=cuts), "reattach")
    assert found.after == LOOP.format(cuts="            pass; pass")


def test_a_chain_of_several_lines_keeps_its_comments(edited) -> None:
    cuts = """            h, c = (
                (h + 0.0)  # state
                .detach(), c.detach(),
            )"""
    found = edited(LOOP.format(cuts=cuts), "reattach")
    assert found.diff == [
        "-                .detach(), c.detach(),",
        "+                , c,",
    ]
