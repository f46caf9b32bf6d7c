"""A network in the style of Lightning: its own optimiser, and its own loss or a refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from unvanish.core.errors import UnvanishError
from unvanish.curing import cure
from unvanish.curing.given import recipe_from
from unvanish.curing.stepping import with_own_step
from unvanish.recipe import load

NETWORK = """
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Classifier(nn.Module):
        def __init__(self, lr=0.05):
            super().__init__()
            self.lr = lr
            self.body = nn.Sequential(
                *(part for _ in range(6) for part in (nn.Linear(4, 4), nn.Sigmoid()))
            )
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.body(x))

        def log(self, *args, **options):
            raise RuntimeError("there is no trainer")

        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = F.cross_entropy(self(x), y)
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.RMSprop(self.parameters(), lr=self.lr)

    def data():
        generator = torch.Generator().manual_seed(0)
        for _ in range(4):
            x = torch.randn(32, 4, generator=generator)
            yield x, (x[:, 0] > 0).long()
"""
OPTIMIZER = "return torch.optim.RMSprop(self.parameters(), lr=self.lr)"
LOSS = "F.cross_entropy(self(x), y)"

Written = Callable[[str, str], str]


@pytest.mark.parametrize(
    "returned",
    [
        "made",
        "[made]",
        "{'optimizer': made, 'lr_scheduler': torch.optim.lr_scheduler.StepLR(made, 9)}",
        "(made, torch.optim.lr_scheduler.StepLR(made, 9))",
        "([made], [torch.optim.lr_scheduler.StepLR(made, 9)])",
    ],
)
def test_the_optimizer_is_the_networks_own(write: Written, returned: str) -> None:
    made = OPTIMIZER.replace("return", "made =") + f"; return {returned}"
    recipe = load(write("net.py", NETWORK.replace(OPTIMIZER, made)), seed=0)
    assert callable(recipe.optimizer)
    optimizer = recipe.optimizer(recipe.model)
    assert isinstance(optimizer, torch.optim.RMSprop)
    assert optimizer.param_groups[0]["lr"] == 0.05
    said = "the optimizer is that of configure_optimizers() of Classifier"
    assert said in recipe.inferred


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return self.trainer.steps", "it raised AttributeError"),
        ("return None", "it returned NoneType, not one optimiser"),
        (
            "return [torch.optim.SGD(p.parameters(), lr=1) for p in (self.body, self.head)]",
            "it returned 2 optimisers, not one optimiser",
        ),
    ],
)
def test_one_that_cannot_be_used_is_said(write: Written, body: str, said: str) -> None:
    recipe = load(write("net.py", NETWORK.replace(OPTIMIZER, body)), seed=0)
    assert recipe.optimizer is None
    assert any(f"was not used: {said}" in each for each in recipe.inferred)


def test_the_files_own_optimizer_goes_before(write: Written) -> None:
    text = NETWORK + (
        "\n    def optimizer(model): return torch.optim.SGD(model.parameters(), lr=0.5)"
    )
    recipe = load(write("net.py", text), seed=0)
    assert callable(recipe.optimizer)
    assert isinstance(recipe.optimizer(recipe.model), torch.optim.SGD)


def test_a_network_that_is_given_in_python_steps_with_its_own_too() -> None:
    class Own(nn.Linear):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adagrad(self.parameters(), lr=0.5)

    recipe = recipe_from(lambda: Own(4, 2), batch=(torch.randn(6, 4), torch.arange(6) % 2))
    assert callable(recipe.optimizer)
    assert isinstance(recipe.optimizer(recipe.model), torch.optim.Adagrad)
    assert "configure_optimizers() of Own" in recipe.inferred[-1]


def test_several_optimizers_in_python_are_refused_and_one_in_a_list_is_taken() -> None:
    net, batch = nn.Linear(4, 2), (torch.randn(6, 4), torch.arange(6) % 2)
    made = [torch.optim.SGD([p], lr=0.1) for p in net.parameters()]
    with pytest.raises(UnvanishError, match="optimizer is 2 optimisers, and one steps"):
        recipe_from(net, batch=batch, optimizer=made)  # type: ignore[arg-type]
    taken = recipe_from(net, batch=batch, optimizer=made[:1])  # type: ignore[arg-type]
    assert taken.optimizer is made[0]


def test_a_step_with_the_loss_that_is_inferred_is_noted(write: Written) -> None:
    recipe = load(write("net.py", NETWORK), seed=0)
    before = dict(vars(recipe.model))
    found = with_own_step(recipe)
    said = "training_step() of Classifier gives the same loss as cross_entropy on the first batch"
    assert found.inferred[-1] == said
    assert vars(recipe.model) == before


def test_a_step_with_another_loss_is_refused_with_the_line_to_write(write: Written) -> None:
    smooth = LOSS.replace("y)", "y, label_smoothing=0.3)")
    text = NETWORK.replace(LOSS, smooth)
    with pytest.raises(UnvanishError, match=r"training_step\(\) of Classifier gives a loss") as e:
        cure(write("net.py", text), seeds=3, budget="30steps", engine="inline")
    assert "and cross_entropy, which was inferred, " in e.value.what
    assert e.value.where.startswith("net.py:")
    assert "def loss(output, target): return ..." in e.value.help
    loss = (
        "\n    def loss(output, target):\n"
        "        return F.cross_entropy(output, target, label_smoothing=0.3)\n"
    )
    recipe = load(write("other.py", text + loss), seed=0)
    assert with_own_step(recipe) is recipe


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("None", "TypeError: it returned nothing"),
        ("self.trainer.loss", "AttributeError"),
    ],
)
def test_a_step_that_does_not_go_alone_is_said(write: Written, body: str, said: str) -> None:
    found = with_own_step(load(write("net.py", NETWORK.replace(LOSS, body)), seed=0))
    assert f"was not compared with the loss: {said}" in found.inferred[-1]


def test_its_cure_is_trained_with_its_optimizer_and_can_be_written(write: Written) -> None:
    cured = cure(
        write("net.py", NETWORK), remedy="relu", seeds=3, budget="30steps", engine="inline"
    )
    assert cured.proof is not None
    rates = {run.learning_rate for run in cured.proof.arm("control").runs}
    assert rates == {0.05}
    edited = cured.patch.files[0].after if cured.patch is not None and cured.patch.files else ""
    assert cured.conclusion.value in {"no-effect", "inconclusive"} or "nn.ReLU" in edited


@pytest.mark.parametrize(
    "line",
    [
        "def optimizer(model): return [torch.optim.SGD(p.parameters(), 1) for p in (model.body, "
        "model.head)]",
        "net = Classifier(); model = net; optimizer = [torch.optim.SGD(net.body.parameters(), 1), "
        "torch.optim.SGD(net.head.parameters(), 1)]",
    ],
)
def test_several_optimizers_are_refused_with_one_of_several_groups(
    write: Written, line: str
) -> None:
    with pytest.raises(UnvanishError, match=r"2 optimisers, and one steps the whole") as caught:
        cure(write("net.py", f"{NETWORK}\n    {line}\n"), seeds=3, budget="30steps")
    assert '[{"params": model.body.parameters()}, {"params"' in caught.value.help
