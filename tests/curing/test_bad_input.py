"""What can go wrong in the user's part of a trial: one message, or one arm, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch

from unvanish.core.errors import UnvanishError
from unvanish.core.proofs import Conclusion
from unvanish.curing import Cured, cure

RECIPE = """
    import os, random, time
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [4] + [16] * 10
            self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])
            self.head = nn.Linear(16, 2)

        def forward(self, x):
            for layer in self.layers:
                x = torch.sigmoid(layer(x))
            return self.head(x)

    def model():
        return Net()

    def samples(count, seed):
        random = torch.Generator().manual_seed(seed)
        x = torch.randn(count, 4, generator=random)
        return x, (x[:, 0] * x[:, 1] > 0).long()

    def data(seed=0):
        x, y = samples(512, 1)
        for rows in torch.randperm(512, generator=torch.Generator().manual_seed(seed)).split(64):
            yield x[rows], y[rows]

    def loss(output, target):
        return nn.functional.cross_entropy(output, target)

    def optimizer(model):
        return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    @torch.no_grad()
    def metric(model):
        x, y = samples(256, 2)
        return (model(x).argmax(1) == y).float().mean()

    GOAL = 0.95
    STEPS = 30
"""

Written = Callable[[str, str], str]


def run(write: Written, change: tuple[str, str] = ("", ""), **options: Any) -> Cured:
    """Cure the network above, its file changed in one place."""
    old, new = change
    assert old in RECIPE
    target = write("net.py", RECIPE.replace(old, new) if old else RECIPE)
    return cure(target, **{"remedy": "batch-norm", "seeds": 3, "jobs": 2, **options})


def failures(cured: Cured, name: str) -> list[str]:
    assert cured.proof is not None
    return [run.failed for run in cured.proof.arm(name).runs]


def test_all_is_well_without_a_change(write: Written) -> None:
    cured = run(write)
    assert cured.proof is not None
    assert {arm.name for arm in cured.proof.arms} >= {"control", "control, redrawn"}
    assert not any(failures(cured, "control"))
    assert cured.remedies in {("batch-norm",), ()}


def test_data_that_never_come_out_the_same_are_drawn_once(write: Written) -> None:
    change = (
        "x, y = samples(512, 1)",
        "x, y = samples(512, random.SystemRandom().randrange(2**30))",
    )
    cured = run(write, change)
    assert cured.experiment is not None
    again = [cured.experiment.partition.digest() for _ in range(2)]
    assert again[0] == again[1]
    assert not any(failures(cured, "control"))


def test_a_metric_that_fails_is_one_message_before_the_trial(write: Written) -> None:
    change = ("return (model(x).argmax(1) == y).float().mean()", "return 1 / 0")
    with pytest.raises(UnvanishError, match=r"metric\(model\) raised ZeroDivisionError"):
        run(write, change)


def test_a_metric_that_gives_no_number_is_one_message(write: Written) -> None:
    change = ("return (model(x).argmax(1) == y).float().mean()", "return None")
    with pytest.raises(UnvanishError, match="metric"):
        run(write, change)


def test_a_metric_that_fails_in_one_arm_fails_that_arm_only(write: Written) -> None:
    broken = """if any(isinstance(m, nn.BatchNorm1d) for m in model.modules()):
            raise RuntimeError("no norms here")
        x, y = samples(256, 2)"""
    cured = run(write, ("x, y = samples(256, 2)", broken))
    assert cured.proof is not None
    assert cured.conclusion is Conclusion.CANNOT
    assert not any(failures(cured, "control"))
    treated = next(arm for arm in cured.proof.arms if arm.remedies == ("batch-norm",))
    assert treated.runs
    assert all("no norms here" in run.failed for run in treated.runs)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_network_that_needs_a_gpu_is_one_message(write: Written) -> None:
    with pytest.raises(UnvanishError, match="CUDA"):
        run(write, ("return Net()", "return Net().cuda()"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ('raise MemoryError("no room")', "memory"),
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ('raise RuntimeError("this arm is broken")', "this arm is broken"),
    ],
)
def test_what_befalls_one_arm_leaves_the_others_alone(
    write: Written, error: str, said: str
) -> None:
    if "kill" in error and not hasattr(signal, "SIGKILL"):
        pytest.skip("needs signals")
    fatal = f"""if torch.is_grad_enabled() and os.environ.get("TRIAL") != str(os.getpid()):
            if output.grad_fn is not None and norms(output):
                {error}
        return nn.functional.cross_entropy(output, target)"""
    text = RECIPE.replace("return nn.functional.cross_entropy(output, target)", fatal)
    text = text.replace(
        "    def model():",
        """    def norms(output):
        seen, todo = set(), [output.grad_fn]
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if "BatchNorm" in type(node).__name__:
                return True
            todo += [after for after, _ in node.next_functions]
        return False

    def model():""",
        1,
    )
    target = write("net.py", text)
    os.environ["TRIAL"] = str(os.getpid())
    try:
        cured = cure(target, remedy="batch-norm", seeds=3, jobs=2)
    finally:
        del os.environ["TRIAL"]
    assert cured.proof is not None
    assert not any(failures(cured, "control"))
    treated = next(arm for arm in cured.proof.arms if arm.remedies == ("batch-norm",))
    failed = [run.failed for run in (*treated.tries, *treated.runs)]
    assert failed
    assert all(said in each for each in failed)


def test_a_state_that_keeps_its_graph_is_told_to_be_detached(write: Written) -> None:
    keeping = """output = self.head(x)
            if getattr(self, "state", None) is not None:
                output = output + 0.1 * self.state
            self.state = output
            return output"""
    with pytest.raises(UnvanishError, match="the network does not train: RuntimeError") as caught:
        run(write, ("return self.head(x)", keeping))
    assert "self.state = state.detach()" in caught.value.help


def test_a_batch_of_one_sample_under_a_batch_norm_is_told_to_be_left_out(write: Written) -> None:
    mixed = """for size in [64] * 6 + [1] * 8:
            yield x[:size] + torch.randn(size, 4), y[:size]
        for rows in ():"""
    text = RECIPE.replace(
        "for rows in torch.randperm(512, generator=torch.Generator().manual_seed(seed)).split(64):",
        mixed,
    )
    text = text.replace(
        "cross_entropy(output, target)",
        "cross_entropy(output, target) + 0.1 * output.mean(0).square().sum()",
    )
    text = text.replace(
        "self.head = nn.Linear(16, 2)",
        "self.head = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 2))",
    )
    with pytest.raises(UnvanishError, match="more than 1 value per channel") as caught:
        cure(write("net.py", text), seeds=3, jobs=2)
    assert "drop_last=True" in caught.value.help


def test_a_wrong_name_in_the_recipe_is_one_message(write: Written) -> None:
    with pytest.raises(UnvanishError, match="GAOL") as error:
        run(write, ("GOAL = 0.95", "GAOL = 0.95"))
    assert "GOAL" in error.value.help


@pytest.mark.parametrize("steps", ["0", "1.5", "-3"])
def test_steps_that_are_no_number_of_steps_are_one_message(write: Written, steps: str) -> None:
    with pytest.raises(UnvanishError, match="STEPS of the recipe is"):
        run(write, ("STEPS = 30", f"STEPS = {steps}"))


def test_without_data_it_is_said_what_can_be_shown_and_what_cannot(write: Written) -> None:
    lines = RECIPE.splitlines()
    start = next(i for i, line in enumerate(lines) if "def data" in line)
    del lines[start : start + 5]
    target = write("net.py", "\n".join(lines))
    cured = cure(target, input_shape=(4,), classes=2, remedy="batch-norm")
    assert cured.conclusion is Conclusion.CANNOT
    assert cured.proof is None
    assert "that it learns is not" in cured.said
    assert cured.remedies == ("batch-norm",)
    assert any("--data" in line for line in cured.left)


def test_one_batch_shows_that_a_network_trains_and_not_more(write: Written) -> None:
    lines = RECIPE.replace("def data(seed=0):", "def batch():")
    lines = lines.replace(
        "for rows in torch.randperm", "return x, y\n        for rows in torch.randperm"
    )
    lines = lines.replace("yield x[rows], y[rows]", "pass")
    cured = cure(write("net.py", lines), remedy="batch-norm", seeds=3, jobs=2)
    assert cured.proof is not None
    said = "remedies are chosen on the data that they are trained on"  # the metric judges
    assert any(said in note for note in cured.proof.notes)


def test_a_remedy_that_does_not_exist_or_fit_is_one_message(write: Written) -> None:
    with pytest.raises(UnvanishError, match="batch-nrom"):
        run(write, remedy="batch-nrom")
    with pytest.raises(UnvanishError, match="does not fit"):
        run(write, remedy="forget-bias")


@pytest.mark.parametrize("seeds", [0, -1])
def test_no_seeds_are_refused(write: Written, seeds: int) -> None:
    with pytest.raises(UnvanishError, match="seeds"):
        run(write, seeds=seeds)


def test_where_no_journal_can_be_written_the_trial_goes_on(
    write: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write("net.py", RECIPE)
    write("a_file", "not a folder")
    monkeypatch.setenv("UNVANISH_CACHE", "a_file")
    cured = cure(target, remedy="batch-norm", seeds=3, jobs=2)
    assert cured.proof is not None
    assert len(cured.proof.arm("control").runs) == 3
    assert any("journal" in note or "resume" in note for note in cured.proof.notes)
