"""A cure in Python: what it prints, builds and writes; a network that is given."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.curing.networks import SOURCE
from torch import Tensor, nn

import unvanish
from unvanish.core.errors import TargetError, UnvanishError
from unvanish.core.findings import Severity
from unvanish.core.patches import Patch, Safety
from unvanish.core.proofs import Conclusion
from unvanish.curing import Cured, load
from unvanish.curing.given import recipe_from
from unvanish.diagnose import diagnose


def test_it_prints_as_the_terminal_shows_it(cured: Cured) -> None:
    assert repr(cured) == cured.text(width=80).rstrip("\n")
    assert "judged: accuracy on 51 samples" in repr(cured)
    command = "unvanish cure net.py --budget 30steps --seeds 3 --remedy batch-norm --write"
    assert command in " ".join(repr(cured).replace("\\\n", " ").split())
    assert cured._repr_html_().startswith("<pre>unvanish")


def test_it_is_saved_and_shown_again(cured: Cured, tmp_path: Path) -> None:
    cured.save(tmp_path / "run.json")
    from unvanish.curing.report import text_of

    assert text_of(load(tmp_path / "run.json")) == cured.text()


def test_it_builds_the_treated_network(cured: Cured) -> None:
    model = cured.build(seed=1)
    assert any(isinstance(module, nn.BatchNorm1d) for module in model.modules())
    stepper = cured.optimizer(model)
    held = {id(p) for group in stepper.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()}
    assert stepper.param_groups[0]["lr"] == pytest.approx(0.1 * cured.rate_factor)
    inputs, target = next(cured.batches())
    assert math.isfinite(cured.loss(model(inputs), target).item())


def test_seeds_give_other_weights_and_the_same_seed_the_same(cured: Cured) -> None:
    weights = [cured.build(seed).state_dict()["head.weight"] for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_writing_keeps_a_copy_and_checks_again(cured: Cured, tmp_path: Path) -> None:
    done = cured.write()
    assert done.written == ("net.py",)
    assert done.backups == ("net.py.orig",)
    assert (tmp_path / "net.py.orig").read_text() == SOURCE
    assert done.rechecked is not None
    left = {f.code for f in diagnose(done.rechecked).findings if f.severity is not Severity.NOTE}
    assert "UV101" not in left


def test_a_file_that_changed_during_the_trial_is_not_written(cured: Cured, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SOURCE + "# an edit of mine\n")
    with pytest.raises(UnvanishError, match="has changed since it was read"):
        cured.write()
    assert (tmp_path / "net.py").read_text() == SOURCE + "# an edit of mine\n"


def test_where_there_is_no_edit_nothing_is_written(cured: Cured) -> None:
    assert cured.patch is not None
    pasted = Patch(remedies=("x",), safety=cured.patch.safety, unsafe="x needs code of unvanish")
    with pytest.raises(UnvanishError, match="nothing to write: x needs code of unvanish"):
        replace(cured, patch=pasted).write()


def test_what_is_not_proven_is_not_written(cured: Cured, tmp_path: Path) -> None:
    with pytest.raises(UnvanishError, match="nothing is proven") as caught:
        replace(cured, proof=None).write()
    assert caught.value.help.startswith("unvanish fix net.py --remedy batch-norm --write")
    assert (tmp_path / "net.py").read_text() == SOURCE


def test_the_exit_code_follows_the_conclusion(cured: Cured) -> None:
    codes = {c: replace(cured, conclusion=c).exit_code() for c in Conclusion}
    assert {c for c, code in codes.items() if code == 0} == {
        Conclusion.CURED,
        Conclusion.IMPROVED,
        Conclusion.HEALTHY,
    }
    assert codes[Conclusion.CANNOT] == 3
    assert codes[Conclusion.INCONCLUSIVE] == codes[Conclusion.NO_EFFECT] == 1


def test_without_an_experiment_nothing_is_built(cured: Cured) -> None:
    bare = replace(cured, experiment=None, said="there are no data")
    with pytest.raises(UnvanishError, match="no experiment to build from: there are no data"):
        bare.build()


def test_a_learning_rate_alone_is_written_into_the_source(
    made: tuple[Cured, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from unvanish.curing.loading import reloaded
    from unvanish.curing.rates import at_rate
    from unvanish.treat.patch import patch

    cured, folder = made
    monkeypatch.chdir(folder)
    recipe = cured.recipe
    treated = at_rate(recipe, cured.before, 10.0)
    with recipe.running():
        edit = patch(
            treated, lambda: reloaded(cured.origin), optimizer=recipe.optimizer, rate_factor=10.0
        )
    assert [(e.before, e.after) for e in treated.receipts[0].edits] == [("learning rate 0.1", "1")]
    assert edit.agrees is True
    assert edit.safety is Safety.SAFE
    assert [line for line in edit.files[0].diff() if line.startswith("+ ")] == [
        "+    return torch.optim.SGD(model.parameters(), lr=1.0)"
    ]
    pasted = patch(treated, None, optimizer=None, rate_factor=10.0)
    assert pasted.snippet == 'for group in optimizer.param_groups:\n    group["lr"] *= 10\n'


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "loca"}, "there is no engine 'loca'"),
        ({"budget": "soon"}, "'soon' is no budget"),
        ({"remedy": "batch-nrom"}, "there is no remedy 'batch-nrom'"),
        ({"seeds": 0}, "0 seeds prove nothing"),
    ],
)
def test_a_slip_is_said_before_the_target_is_loaded(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UnvanishError, match=said):
        unvanish.cure("there_is_no_such_file.py", **options)


# --- networks that are given ------------------------------------------------------


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(16, 4, generator=generator) for _ in range(6)]
    return [(x, (x[:, 0] > 0).long()) for x in inputs]


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def test_a_function_makes_another_network_for_every_seed() -> None:
    recipe = recipe_from(small, data=batches(), seed=0)
    first, same, other = (recipe.fresh(seed)[0].weight for seed in (1, 1, 2))  # type: ignore[index]
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert recipe.target == "small"
    assert recipe.is_finished is False
    assert len(list(recipe.data or ())) == 5


def test_a_function_that_takes_a_seed_gets_it() -> None:
    seeds: list[int] = []

    def model(seed: int) -> nn.Module:
        seeds.append(seed)
        return small()

    recipe_from(model, data=batches(), seed=5).fresh(7)
    assert seeds == [5, 7]


def test_a_finished_network_is_copied_and_that_is_said() -> None:
    network = small()
    recipe = recipe_from(network, batch=batches()[0])
    assert recipe.model is network
    copy = recipe.fresh(3)
    assert copy is not network
    assert torch.equal(copy[0].weight, network[0].weight)  # type: ignore[index]
    assert "every run starts from its weights" in recipe.inferred[0]


def test_data_that_can_be_drawn_once_are_not_drawn_empty() -> None:
    recipe = recipe_from(small, data=(batch for batch in batches()))
    assert recipe.batch is not None
    assert len(list(recipe.data or ())) == 5
    assert len(list(recipe.data or ())) == 5


def test_something_that_is_no_network() -> None:
    with pytest.raises(TargetError, match="the model is int, not an"):
        recipe_from(lambda: 3)  # type: ignore[arg-type,return-value]


def test_a_given_network_is_cured_in_one_call() -> None:
    stages: list[str] = []
    found = unvanish.cure(
        small,
        data=(batch for batch in batches()),
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=0.05),
        budget="40steps",
        seeds=3,
        engine="inline",
        resume=False,
        progress=lambda progress: stages.append(progress.stage),
    )
    assert found.conclusion is Conclusion.HEALTHY
    assert set(stages) == {"control"}
    assert found.origin.is_given
    assert found.origin.target == "small"
    assert "given in Python" not in repr(found)
    with pytest.raises(UnvanishError, match="nothing to write: nothing is to be changed"):
        found.write()


class Coding(nn.Module):
    """A variational autoencoder of ten numbers that four numbers make."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 4))
        self.decoder = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 10))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, logvar = self.encoder(x).chunk(2, dim=-1)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        return self.decoder(mean + (0.5 * logvar).exp() * noise), mean, logvar


def summed_prior(output: tuple[Tensor, Tensor, Tensor], target: Tensor) -> Tensor:
    answer, mean, logvar = output
    prior = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum()
    return nn.functional.mse_loss(answer, target) + prior


def test_a_drowned_term_is_raised_and_judged_by_itself() -> None:
    torch.manual_seed(0)
    x = torch.tanh(torch.randn(640, 4) @ torch.randn(4, 10))
    cured = unvanish.cure(
        Coding,
        data=[(one, one) for one in x.split(64)],
        loss=summed_prior,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=5e-3),
        remedy="loss-balancing",
        budget="300steps",
        seeds=3,
        engine="inline",
    )
    assert cured.proof is not None
    assert cured.proof.endpoint.name == "mse_loss"
    control, treated = (
        next(arm for arm in cured.proof.arms if arm.remedies == names)
        for names in ((), ("loss-balancing",))
    )
    assert max(treated.metrics) < 0.6 * min(control.metrics)
    model = cured.build(seed=0)
    answer = model(x[:64])
    assert cured.loss(answer, x[:64]) > 10.0 * summed_prior(answer, x[:64]).detach()
