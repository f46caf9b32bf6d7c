"""What an edit must not undo, rename or break for others, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from unvanish.core.patches import Safety
from unvanish.treat.patch.files import write

HEAD = """import torch
from torch import nn


def batch():
    inputs = torch.randn(32, 16)
    return inputs, inputs[:, :3].argmax(dim=1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)

"""
NET = """
class Net(nn.Module):
    def __init__(self, path=None):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(6)])
{rest}
    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return self.head(x)
"""


def net(*lines: str) -> str:
    return HEAD + NET.format(rest="".join(f"        {line}\n" for line in lines))


@pytest.mark.parametrize(
    "load",
    [
        ["if path is not None:", "    self.load_state_dict(torch.load(path))"],
        ["if path is not None:", "    self.restore(path)"],
        ["state = torch.load(path) if path else {}", "for name in state:", "    print(name)"],
        ["# what was learnt", "if path:", "    self.head.from_pretrained(path)"],
    ],
    ids=["direct", "method", "values", "comment"],
)
def test_a_start_is_written_before_what_was_learnt_is_loaded(edited, load) -> None:
    text = net("self.head = nn.Linear(16, 3)", *load)
    text += "\n    def restore(self, path):\n        self.load_state_dict(torch.load(path))\n"
    after = edited(text, "he").after
    drawn = after.index("nn.init.kaiming_normal_")
    used = next(line for line in load if line.startswith(("if", "for", "#")))
    assert after.index("self.head = ") < drawn < after.index(f"        {used}\n")


def test_a_function_that_builds_draws_before_it_loads(edited) -> None:
    text = (
        HEAD
        + """
def model(path=None):
    net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
    net.append(nn.Linear(16, 3))
    if path:
        net.load_state_dict(torch.load(path))
    return net
"""
    )
    after = edited(text, "he").after
    assert after.index("nn.init.kaiming") < after.index("    if path:")


def test_a_start_between_a_load_and_more_layers_is_not_written(edited) -> None:
    lines = ["if path:", "    self.load_state_dict(torch.load(path))"]
    found = edited(net(*lines, "self.head = nn.Linear(16, 3)"), "he")
    assert "loads what was learnt, and line" in found.unsafe


def test_a_part_that_loads_in_its_own_class_is_not_drawn_anew(edited) -> None:
    text = net("self.head = Head()")
    text += """

class Head(nn.Module):
    def __init__(self, path=None):
        super().__init__()
        self.out = nn.Linear(16, 3)
        if path:
            self.load_state_dict(torch.load(path))

    def forward(self, x):
        return self.out(x)


def model():
    return Net()
"""
    found = edited(text, "he")
    assert "loads what was learnt" in found.unsafe


def test_a_configuration_is_no_load(edited) -> None:
    lines = ["self.head = nn.Linear(16, 3)", "self.made = dict(Config=1)"]
    text = net(*lines, "if path:", "    self.made = AutoConfig.from_pretrained(path)")
    after = edited(text, "he").after
    assert after.index("AutoConfig") < after.index("nn.init.kaiming")


CHOSEN = """

{acts}


class Net(nn.Module):
    def __init__(self, act="sigmoid"):
        super().__init__()
        widths = [16, 24, 24, 24, 24, 24, 24, 24, 24]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in zip(widths, widths[1:]))
        self.act = {act}
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.head(x)
"""


@pytest.mark.parametrize(
    ("acts", "act"),
    [
        ('ACTS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh}', "ACTS[act]()"),
        ("ACTS = dict(sigmoid=nn.Sigmoid, tanh=nn.Tanh)", "ACTS[act]()"),
        ('ACTS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}', "ACTS[act]"),
        ('ACTS = {"sigmoid": lambda x: torch.sigmoid(x)}', "ACTS[act]"),
        ('ACTS = {"sigmoid": lambda: nn.Sigmoid()}', "ACTS[act]()"),
        (
            'def of(name):\n    if name == "sigmoid":\n        return nn.Sigmoid()\n'
            "    return nn.Tanh()",
            "of(act)",
        ),
    ],
)
def test_what_a_name_stands_for_stays(edited, acts, act) -> None:
    found = edited(HEAD + CHOSEN.format(acts=acts, act=act), "relu")
    assert "is what the name 'sigmoid' stands for" in found.unsafe


def test_a_key_that_names_no_function_is_edited(edited) -> None:
    acts = 'PARTS = {"hidden": nn.Sigmoid, "last": nn.Identity}'
    found = edited(HEAD + CHOSEN.format(acts=acts, act='PARTS["hidden"]()'), "relu")
    assert '+PARTS = {"hidden": nn.ReLU, "last": nn.Identity}' in found.diff


SHARED = """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.Sigmoid()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(8))
        self.gate = nn.Linear(16, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x = {hidden}
        return {output}
"""


@pytest.mark.parametrize(
    "output", ["self.act(self.head(x))", "self.head(x * self.act(self.gate(x)))"]
)
def test_a_module_of_several_calls_stays_where_it_has_to(edited, output) -> None:
    text = HEAD + SHARED.format(hidden="self.act(layer(x))", output=output)
    found = edited(text, "relu")
    assert found.diff == [
        "-            x = self.act(layer(x))",
        "+            x = torch.relu(layer(x))",
    ]


def test_a_shared_module_whose_calls_cannot_be_told_apart(edited) -> None:
    text = (
        HEAD
        + """
def model():
    act = nn.Sigmoid()
    hidden = [layer for _ in range(6) for layer in (nn.Linear(16, 16), act)]
    return nn.Sequential(*hidden, nn.Linear(16, 3), act)
"""
    )
    unsafe = edited(text, "relu").unsafe
    assert "one module for several calls" in unsafe
    assert "makes the output" in unsafe


BLOCKS = """

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x):
        return torch.sigmoid(self.layer(x))


def stack(depth):
    return nn.Sequential(*[Block(16) for _ in range(depth)])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = stack(8)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.body(x))

"""
OTHERS = """
def model():
    return Net()


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = {made}


class Another(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 3)
"""


@pytest.mark.parametrize("made", ["stack(2)", "nn.Sequential(Block(16))"])
def test_other_networks_of_an_edited_block_are_named(edited, made) -> None:
    found = edited(HEAD + BLOCKS + OTHERS.format(made=made), "relu")
    assert found.after
    (note,) = found.patch.notes
    assert "Block is edited, and Critic (line" in note
    assert "Another" not in note
    assert "model" not in note


def test_what_has_no_part_in_an_edit_is_not_named(edited) -> None:
    found = edited(HEAD + BLOCKS + OTHERS.format(made="Net()"), "relu")
    assert found.after
    assert not found.patch.notes


def test_callers_of_a_default_are_warned(edited) -> None:
    text = (
        HEAD
        + """
def mlp(widths, act=nn.Sigmoid):
    parts = [(nn.Linear(*pair), act()) for pair in zip(widths, widths[1:])]
    return [part for pair in parts for part in pair]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*mlp([16] * 9), nn.Linear(16, 3))

    def forward(self, x):
        return self.body(x)
"""
    )
    found = edited(text, "relu")
    assert "+def mlp(widths, act=nn.ReLU):" in found.diff
    assert "every call of mlp that does not say it gets the new one" in found.patch.notes[0]


def test_a_new_parameter_is_not_in_old_checkpoints(edited) -> None:
    text = net("self.head = nn.Linear(16, 3)").replace("nn.ModuleList(", "list(")
    found = edited(text, "train-parameter")
    assert found.after
    assert found.safety is Safety.RETRAIN
    assert (
        "lacks layers.0.weight, layers.0.bias, layers.1.weight and 9 more" in (found.patch.notes[0])
    )


def test_an_edit_that_computes_something_else_says_so(edited) -> None:
    found = edited(net("self.head = nn.Linear(16, 3)").replace(".relu()", ".sigmoid()"), "relu")
    assert found.after
    assert found.safety is Safety.CHANGES_FUNCTION
    assert not found.patch.notes


def test_the_constant_of_a_normalisation_is_written(edited) -> None:
    text = net("self.head = nn.Linear(16, 3)")
    text += """

def model():
    made = Net()
    for values in made.parameters():
        nn.init.normal_(values, std=1e-4)
    return made
"""
    found = edited(text, "batch-norm")
    assert "nn.BatchNorm1d(16, eps=" in found.after
    (number,) = {part.split(")")[0] for part in found.after.split("eps=")[1:]}
    assert float(number) < 1e-5
    assert len(number) <= len("6.6e-12")


def test_a_class_of_no_file(edited) -> None:
    made = "class Net" + SHARED.format(hidden="self.act(layer(x))", output="self.head(x)").split(
        "class Net"
    )[1].replace("self.act(", "torch.sigmoid(")
    text = f'{HEAD}\nexec("""\n{made}""")\n\n\ndef model():\n    return Net()\n'
    assert "source not found: Net" in edited(text, "relu").unsafe


@pytest.mark.parametrize("mark", ["\ufeff", "# -*- coding: latin-1 -*-\n"])
def test_a_file_keeps_its_encoding(tmp_path, monkeypatch, mark) -> None:
    from unvanish import fix

    monkeypatch.chdir(tmp_path)
    encoding = "utf-8" if mark == "\ufeff" else "latin-1"
    text = mark + net("self.head = nn.Linear(16, 3)  # größer\f").replace(".relu()", ".sigmoid()")
    Path("net.py").write_bytes(text.encode(encoding))
    found = fix("net.py", remedy="relu")
    assert found.patch is not None
    assert found.patch.files, found.patch.unsafe
    write(found.patch, verb="fix")
    changed = text.replace("layer(x).sigmoid()", "layer(x).relu()")
    assert Path("net.py").read_bytes() == changed.encode(encoding)


HELPED = """
def made_by(params, lr=0.3, momentum=0.0):
    return torch.optim.SGD(params, lr=lr, momentum=momentum)


def optimizer(model):
    return made_by(model.parameters(){rate})
"""


@pytest.mark.parametrize("rate", ["", ", lr=0.3", ", 0.3"])
def test_the_rate_of_an_optimiser_that_a_helper_makes(edited, rate) -> None:
    head = HEAD.split("def optimizer")[0] + HELPED.format(rate=rate)
    found = edited(
        head + NET.format(rest="        self.head = nn.Linear(16, 3)\n"), "he", rate_factor=0.1
    )
    told = rate.replace("0.3", "0.03") or ", lr=0.03"
    assert f"+    return made_by(model.parameters(){told})" in found.diff
    assert "lr=0.3, momentum" in found.after


def test_clipping_before_the_steps_of_an_optimiser_that_a_helper_makes(edited) -> None:
    loop = """

def train(net):
    opt = optimizer(net)
    for inputs, target in [batch()]:
        nn.functional.cross_entropy(net(inputs), target).backward()
        opt.step()
"""
    head = HEAD.split("def optimizer")[0] + HELPED.format(rate=", lr=0.3")
    text = head + NET.format(rest="        self.head = nn.Linear(16, 3)\n") + loop
    text = text.replace("torch.randn(32, 16)", "1e3 * torch.randn(32, 16)")
    found = edited(text, "clip-norm")
    assert any("clip_grad_norm_(net.parameters()" in line for line in found.diff)
