"""What a run is judged by follows from the target, the shapes and the loss, or from a metric."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.core.proofs import Endpoint
from unvanish.prove.endpoints import endpoint_of, measure, metric_wants_batches, score
from unvanish.prove.experiment import Experiment, Subject
from unvanish.prove.metrics import metric_value
from unvanish.prove.partition import Partition, partition
from unvanish.treat.balancing import BalancedLoss, OneTerm
from unvanish.treat.losses import Replacement
from unvanish.treat.precision import Scale, ScaledLoss


class Constant(nn.Module):
    """Answers the same whatever it is asked, so that every endpoint is known beforehand."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = nn.Parameter(answer.clone().float())

    def forward(self, x: Tensor) -> Tensor:
        return self.answer + 0.0 * x[:, :1]


class Says(nn.Module):
    """Answers what stands in its input."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x


def data_of(x: Tensor, y: Any, model: nn.Module, size: int = 20, *, keep: bool = True) -> Partition:
    if x.is_floating_point():  # samples that are all different
        x = x * (1 - 1e-4 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0)))
    batches = [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]
    return partition(batches, model, wanted=100, keep_held_out=keep)


def tried(
    model: nn.Module,
    parts: Partition,
    loss: Any,
    *,
    new: Any = ...,
    treated: nn.Module | None = None,
    metric: Callable[..., Any] | None = None,
    higher_is_better: bool = True,
) -> tuple[Endpoint, float, float]:
    """Return the endpoint, its value and the score of a network."""
    endpoint = endpoint_of(model, parts, loss, metric=metric, higher_is_better=higher_is_better)
    experiment = Experiment(
        target="net.py",
        make=lambda _: model,
        partition=parts,
        loss=loss,
        model=model,
        metric=metric,
        endpoint=endpoint,
    )
    network = treated or model
    subject = Subject(
        model=network.eval(),
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss=loss if new is ... else new,
    )
    return endpoint, measure(experiment, subject), score(experiment, subject)


def labels(count: int = 200) -> Tensor:
    return torch.arange(count) % 4


def hot(y: Tensor, *, away: int = 0, size: float = 9.0) -> Tensor:
    return size * F.one_hot((y + away) % 4, 4).float()


def written(output: Tensor, target: Tensor) -> Tensor:
    picked = output.log_softmax(dim=1).gather(1, target[:, None])
    return -((1 - picked.exp()) ** 2 * picked).mean()


class Smoothed(nn.Module):
    """A criterion with a name that says nothing."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target, label_smoothing=0.2)


@pytest.mark.parametrize(
    "loss",
    [None, "cross_entropy", F.cross_entropy, nn.CrossEntropyLoss(), written, Smoothed()],
)
def test_classes_are_judged_by_accuracy_whatever_the_loss_is_called(loss: Any) -> None:
    y = labels()
    x = hot(y)
    x[::4] = hot(y[::4], away=1)
    endpoint, value, _ = tried(Says(), data_of(x, y, Says()), loss)
    assert endpoint.name == "accuracy"
    assert endpoint.higher_is_better
    assert endpoint.held_out
    assert endpoint.chance == pytest.approx(0.25)
    assert endpoint.samples == 40
    assert value == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("loss", "form"),
    [
        (nn.NLLLoss(), lambda s: s.log_softmax(1)),
        (lambda o, t: -o[torch.arange(len(t)), t].log().mean(), lambda s: s.softmax(1)),
        (nn.MultiMarginLoss(), lambda s: s),
        (lambda o, t: F.mse_loss(o.softmax(1), F.one_hot(t, 4).float()), lambda s: s),
    ],
)
def test_logarithms_probabilities_and_margins_are_classes_too(loss: Any, form: Any) -> None:
    y = labels()
    endpoint, value, _ = tried(Says(), data_of(form(hot(y)), y, Says()), loss)
    assert (endpoint.name, value) == ("accuracy", 1.0)


def test_images_of_classes_leave_out_what_is_to_be_ignored() -> None:
    y = (torch.arange(100 * 9) % 4).reshape(100, 3, 3)
    x = hot(y).movedim(-1, 1).contiguous()
    y = y.clone()
    y[:, 0] = -100
    endpoint, value, _ = tried(Says(), data_of(x, y, Says()), nn.CrossEntropyLoss())
    assert (endpoint.name, value, endpoint.samples) == ("accuracy", 1.0, 20 * 6)


def test_an_ignored_label_of_the_losss_own_is_left_out() -> None:
    y = labels()
    x = hot(y)
    x[y == 3] = hot(y[y == 3], away=1)
    _, value, _ = tried(Says(), data_of(x, y, Says()), nn.CrossEntropyLoss(ignore_index=3))
    assert value == 1.0


def across(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def one_on(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output[:, :-1].flatten(0, 1), target[:, 1:].flatten())


@pytest.mark.parametrize(("loss", "shift"), [(across, 0), (None, 0), (one_on, 1)])
def test_tokens_are_read_where_the_loss_reads_them(loss: Any, shift: int) -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.randint(4, (100, 4), generator=random)
    x = hot(y.roll(-shift, dims=1))
    endpoint, value, _ = tried(Says(), data_of(x, y, Says()), loss)
    assert (endpoint.name, value) == ("accuracy", 1.0)
    assert endpoint.samples == 20 * (4 - shift)


def test_classes_second_and_last_are_told_apart_by_the_loss_where_shapes_do_not() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.randint(4, (100, 4), generator=random)
    last = hot(y)
    assert tried(Says(), data_of(last, y, Says()), across)[1] == 1.0
    second = last.movedim(-1, 1).contiguous()
    assert tried(Says(), data_of(second, y, Says()), nn.CrossEntropyLoss())[1] == 1.0


class Own(nn.Module):
    """A language model in the style of Hugging Face, with its loss inside."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.shift = nn.Embedding(5, 5), shift

    def forward(self, input_ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.embed(input_ids)
        end = logits.shape[1] - self.shift
        loss = F.cross_entropy(logits[:, :end].flatten(0, 1), labels[:, self.shift :].flatten())
        return {"loss": loss, "logits": logits}


@pytest.mark.parametrize("shift", [0, 1])
def test_a_loss_inside_of_the_network_shows_whether_its_labels_are_shifted(shift: int) -> None:
    model = Own(shift)
    ids = torch.randint(5, (200, 6), generator=torch.Generator().manual_seed(1))
    batches = [{"input_ids": i, "labels": i} for i in ids.split(20)]
    parts = partition(batches, model, wanted=100, keep_held_out=True, loss=None)
    assert parts.by_rows
    endpoint, value, _ = tried(model, parts, None)
    assert endpoint.samples == 40 * (6 - shift)
    with torch.no_grad():
        logits = torch.cat([model(**batch)["logits"] for batch in parts.held_out])
        given = torch.cat([batch["labels"] for batch in parts.held_out])
    right = logits[:, : 6 - shift].argmax(-1) == given[:, shift:]
    assert value == pytest.approx(float(right.float().mean()))


@pytest.mark.parametrize(
    ("loss", "form"),
    [
        (nn.BCEWithLogitsLoss(), lambda s: s),
        (nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0)), lambda s: s),
        ("binary_cross_entropy_with_logits", lambda s: s),
        (nn.BCELoss(), torch.sigmoid),
        (lambda o, t: F.binary_cross_entropy(o, t), torch.sigmoid),
        (nn.MSELoss(), torch.sigmoid),
    ],
)
def test_yes_and_no_are_read_on_the_side_the_loss_says(loss: Any, form: Any) -> None:
    y = (torch.arange(200) % 5 == 0).float()[:, None]
    scores = 2 * y - 1.5  # a probability of 0.62 is yes, and of 0.18 is no
    endpoint, value, _ = tried(Says(), data_of(form(scores), y, Says()), loss)
    assert (endpoint.name, value) == ("accuracy", 1.0)
    assert endpoint.chance == pytest.approx(0.8)


def test_a_sigmoid_before_a_loss_on_logits_is_still_read_as_a_probability() -> None:
    y = (torch.arange(200) % 2).float()[:, None]
    model = nn.Sequential(Says(), nn.Sigmoid())
    _, value, _ = tried(model, data_of(4 * y - 2, y, model), nn.BCEWithLogitsLoss())
    assert value == 1.0


def test_integers_with_one_output_are_yes_or_no() -> None:
    y = torch.arange(200) % 2
    endpoint, value, _ = tried(Says(), data_of((4.0 * y - 2)[:, None], y, Says()), None)
    assert (endpoint.name, value) == ("accuracy", 1.0)


def test_single_ones_among_zeros_are_classes() -> None:
    y = labels()
    parts = data_of(hot(y, size=0.3), hot(y, size=1.0), Says())
    endpoint, value, _ = tried(Says(), parts, nn.MSELoss())
    assert (endpoint.name, value, endpoint.samples) == ("accuracy", 1.0, 40)
    assert endpoint.chance == pytest.approx(0.25)


@pytest.mark.parametrize(
    "loss", ["mse_loss", nn.MSELoss(), None, lambda o, t: (o - t).pow(2).mean()]
)
def test_the_squared_error_has_the_variance_for_its_chance(loss: Any) -> None:
    y = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 3.0])
    parts = data_of(torch.randn(200, 3), y, Constant(torch.zeros(2)), size=32)
    model = Constant(torch.cat([t for _, t in parts.held_out]).mean(dim=0))
    endpoint, value, chosen = tried(model, parts, loss)
    assert endpoint.name == "loss"
    assert not endpoint.higher_is_better
    assert value == pytest.approx(endpoint.chance, rel=1e-5)
    assert chosen < 0


@pytest.mark.parametrize(
    "loss", ["l1_loss", nn.HuberLoss(), lambda o, t: 2 * (o - t).pow(2).mean()]
)
def test_other_losses_have_no_known_chance(loss: Any) -> None:
    endpoint, value, _ = tried(
        Says(), data_of(torch.randn(200, 2), torch.randn(200, 2), Says()), loss
    )
    assert endpoint.name == "loss"
    assert math.isnan(endpoint.chance)
    assert value > 0


def test_counts_are_no_classes_for_a_loss_of_counts() -> None:
    y = torch.arange(200) % 4
    loss = lambda o, t: F.poisson_nll_loss(o[:, 0], t.float())  # noqa: E731
    endpoint, _, _ = tried(Says(), data_of(torch.randn(200, 4), y, Says()), loss)
    assert endpoint.name == "loss"


def test_embeddings_with_labels_are_no_classes() -> None:
    def together(output: Tensor, target: Tensor) -> Tensor:
        unit = F.normalize(output, dim=1)
        same = (target[:, None] == target[None]).float()
        return ((unit @ unit.T - same) ** 2).mean()

    endpoint, _, _ = tried(Says(), data_of(torch.randn(200, 4), labels(), Says()), together)
    assert endpoint.name == "loss"


def test_marks_of_where_a_solution_begins_are_no_answers() -> None:
    class Solution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

        def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
            t = t.detach().requires_grad_()
            u = self.net(t)
            return u, torch.autograd.grad(u.sum(), t, create_graph=True)[0]

    def loss(output: tuple[Tensor, Tensor], at_start: Tensor) -> Tensor:
        u, du = output
        return (du + 2 * u).square().mean() + ((u - 1) * at_start).square().mean()

    def metric(model: nn.Module) -> float:
        u, du = model(torch.ones(3, 1))
        return float((du + 2 * u).detach().abs().max())

    t = torch.rand(200, 1)
    t[::8] = 0
    model = Solution()
    parts = data_of(t, (t == 0).float(), model)
    endpoint, value, chosen = tried(model, parts, loss)
    assert endpoint.name == "loss"
    assert value > 0 > chosen
    endpoint, value, _ = tried(model, parts, loss, metric=metric, higher_is_better=False)
    assert (endpoint.name, endpoint.higher_is_better) == ("metric", False)
    assert value == pytest.approx(metric(model))


def test_data_that_are_trained_on_are_not_called_held_out() -> None:
    y = labels(8)
    endpoint, _, _ = tried(Says(), data_of(hot(y), y, Says()), None)
    assert not endpoint.held_out
    assert endpoint.origin.endswith("on samples that it is trained on as well")


def test_what_is_no_number_is_judged_as_none() -> None:
    y = labels()
    x = hot(y)
    x[::3] = math.nan
    endpoint, value, chosen = tried(Says(), data_of(x, y, Says()), None)
    assert endpoint.name == "accuracy"
    assert math.isnan(value)
    assert math.isnan(chosen)


def test_the_score_tells_equal_accuracies_apart_by_the_loss() -> None:
    y = labels()
    sure, unsure = (data_of(hot(y, size=size), y, Says()) for size in (9.0, 0.1))
    scores = [tried(Says(), parts, None)[2] for parts in (unsure, sure)]
    assert 1.0 < scores[0] < scores[1] < 1.0101


def test_a_scaled_loss_is_judged_unscaled() -> None:
    parts = data_of(torch.randn(200, 2), torch.randn(200, 2), Says())
    plain = tried(Says(), parts, nn.MSELoss())
    loss = nn.MSELoss()
    scaled = tried(Says(), parts, loss, new=ScaledLoss(loss=loss, scale=Scale(value=1024.0)))
    assert scaled[1:] == pytest.approx(plain[1:])


def test_a_sigmoid_that_moved_into_the_loss_is_put_back_for_judging() -> None:
    pixels = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    before = nn.Sequential(Says(), nn.Sigmoid())
    parts = data_of(torch.randn(200, 3), pixels, before)
    loss = nn.MSELoss()
    plain = tried(before, parts, loss)
    assert plain[0].name == "loss"
    new = Replacement(kind="binary_cross_entropy_with_logits")
    assert tried(before, parts, loss, new=new, treated=before[0])[1:] == pytest.approx(plain[1:])


def test_yes_and_no_survive_the_loss_of_the_sigmoid() -> None:
    y = (torch.arange(200) % 2).float()[:, None]
    before = nn.Sequential(Says(), nn.Sigmoid())
    parts = data_of(2 * y - 1, y, before)
    new = Replacement(kind="binary_cross_entropy_with_logits")
    assert tried(before, parts, nn.MSELoss(), new=new, treated=before[0])[1] == 1.0


def test_arms_are_scored_in_one_way_though_a_new_loss_could_be_read_in_another() -> None:
    y = labels()
    parts = data_of(hot(y), y, Says())
    old = lambda output, target: (output - 1).square().mean() + 0.0 * target.sum()  # noqa: E731
    before = tried(Says(), parts, old)
    assert before[0].name == "loss"
    assert before[2] < 0
    after = tried(Says(), parts, old, new="cross_entropy", metric=lambda _: 0.2)
    assert after[2] == 0.2


def test_another_loss_is_not_compared_with_the_old_one() -> None:
    parts = data_of(torch.randn(200, 2), torch.randn(200, 2), Says())
    with pytest.raises(UnvanishError, match="changed the loss to l1_loss, whose values cannot"):
        tried(Says(), parts, nn.MSELoss(), new="l1_loss")
    value = tried(Says(), parts, nn.MSELoss(), new="l1_loss", metric=lambda _: 3.0)
    assert value[1:] == (3.0, 3.0)
    lower = tried(
        Says(), parts, nn.MSELoss(), new="l1_loss", metric=lambda _: 3.0, higher_is_better=False
    )
    assert lower[1:] == (3.0, -3.0)


def test_a_criterion_that_counts_its_calls_is_not_counted_up() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            self.calls += 1
            return F.mse_loss(output, target)

    loss = Counting()
    tried(Says(), data_of(torch.randn(200, 2), torch.randn(200, 2), Says()), loss)
    assert float(loss.calls) == 0


def test_a_network_that_gives_its_loss_in_training_alone_is_judged_by_a_metric() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 4)

        def forward(self, x: Tensor, y: Tensor) -> Any:
            out = self.net(x)
            return {"loss": F.cross_entropy(out, y)} if self.training else {"boxes": [out]}

    model = Detector()
    batches = [{"x": hot(labels(20)), "y": labels(20)} for _ in range(8)]
    parts = partition(batches, model, wanted=10, keep_held_out=True)
    with pytest.raises(UnvanishError, match="no metric, and the network cannot be judged by its"):
        tried(model, parts, lambda output, _: output["loss"])
    found = tried(model, parts, lambda output, _: output["loss"], metric=lambda _: 0.7)
    assert found[1:] == (0.7, 0.7)


def test_a_network_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    y = labels()
    endpoint_of(model, data_of(hot(y), y, model), None, metric=lambda m: m.zero_grad() or 1.0)
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def parts_for_metric() -> Partition:
    return data_of(torch.randn(200, 2), torch.randn(200, 2), Says())


@pytest.mark.parametrize("value", [0.5, torch.tensor(0.5), torch.tensor([[0.5]])])
def test_a_metric_may_return_any_single_number(value: Any) -> None:
    endpoint, measured, _ = tried(Says(), parts_for_metric(), "mse_loss", metric=lambda _: value)
    assert (endpoint.name, measured) == ("metric", 0.5)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((0.5, 1.0), "tuple"),
        (None, "nothing"),
        ("0.5", "str"),
        (True, "bool"),
        (torch.zeros(3), r"Tensor of shape \(3,\)"),
    ],
)
def test_a_metric_that_returns_something_else_is_told(value: Any, said: str) -> None:
    with pytest.raises(UnvanishError, match=rf"metric\(model\) returned {said}, not a number"):
        tried(Says(), parts_for_metric(), "mse_loss", metric=lambda _: value)


def test_a_metric_that_raises_shows_the_users_line() -> None:
    def metric(_: nn.Module) -> float:
        raise KeyError("split")

    with pytest.raises(UnvanishError, match=r"metric\(model\) raised KeyError: 'split'") as caught:
        tried(Says(), parts_for_metric(), "mse_loss", metric=metric)
    assert "test_endpoints.py" in caught.value.where
    assert caught.value.help.startswith("def metric(model):")


def test_a_metric_of_several_numbers_is_told_to_return_one() -> None:
    with pytest.raises(UnvanishError, match="returned dict, not a number") as caught:
        tried(Says(), parts_for_metric(), "mse_loss", metric=lambda _: {"acc": 0.5, "f1": 0.4})
    assert caught.value.help == "return one of them, such as 'acc': return scores['acc']"
    assert re.match(r".*test_endpoints\.py:\d+$", caught.value.where)

    def nothing(output: Tensor, target: Tensor) -> None:
        del output, target

    with pytest.raises(UnvanishError, match="returned nothing, not a number") as caught:
        tried(Says(), parts_for_metric(), "mse_loss", metric=nothing)
    assert caught.value.help.startswith("def metric(output, target): return")


def test_a_metric_leaves_the_network_as_it_was() -> None:
    def careless(model: nn.Module) -> float:
        model.train()
        for parameter in model.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None
        model.seen = True
        return 0.5

    model, parts = Says(), parts_for_metric()
    model.gain.grad = torch.ones(())
    model.eval()
    for _ in range(2):
        assert metric_value(careless, model, parts, "") == 0.5
    assert not model.training
    assert model.gain.requires_grad
    assert model.gain.grad is not None
    assert not hasattr(model, "seen")


def test_a_metric_that_swaps_weights_and_gives_them_back_is_fine() -> None:
    def averaged(model: nn.Module) -> float:
        with torch.no_grad():
            model.gain.add_(1.0)
            value = float(model.gain)
            model.gain.sub_(1.0)
        return value

    assert metric_value(averaged, Says(), parts_for_metric(), "") == 2.0
    with torch.no_grad():
        lost = Says()
        lost.gain.fill_(math.nan)
    assert metric_value(lambda _: 0.5, lost, parts_for_metric(), "") == 0.5


def test_a_metric_that_trains_the_network_is_refused_and_undone() -> None:
    def training(model: nn.Module) -> float:
        with torch.no_grad():
            model.gain.zero_()
        return 0.5

    model = Says()
    with pytest.raises(
        UnvanishError, match=r"metric\(model\) changes the weights .*: gain"
    ) as caught:
        metric_value(training, model, parts_for_metric(), "")
    assert "copy.deepcopy(model)" in caught.value.help
    assert model.gain.item() == 1.0


def test_a_metric_of_output_and_target_is_averaged_by_samples() -> None:
    def error(output: Tensor, target: Tensor) -> Tensor:
        assert not output.requires_grad
        return (output - target).abs().mean()

    model = Says()
    parts = data_of(torch.randn(201, 2), torch.randn(201, 2), model, size=32)
    endpoint, value, _ = tried(model, parts, "mse_loss", metric=error, higher_is_better=False)
    apart = torch.cat([x - y for x, y in parts.held_out]).abs().mean()
    assert endpoint.name == "error"
    assert endpoint.samples == parts.samples
    assert value == pytest.approx(float(apart), rel=1e-5)


def test_which_metric_wants_batches() -> None:
    def of(arguments: str) -> Any:
        return eval(f"lambda {arguments}: 0.0")

    assert not metric_wants_batches(None)
    assert not any(map(metric_wants_batches, (of("model"), of("net, data=None"), of("m, seed"))))
    assert metric_wants_batches(of("output, target"))
    assert metric_wants_batches(nn.L1Loss())
    with pytest.raises(UnvanishError, match="metric needs 2 arguments: model, loader"):
        metric_wants_batches(of("model, loader"))
    with pytest.raises(UnvanishError, match="metric needs 3 arguments: a, b, c"):
        metric_wants_batches(of("a, b, c"))


class Coded(nn.Module):
    """Answers what it is told, and gives out a code whose size is penalised."""

    def __init__(self, answer: float) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.tensor(answer))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.answer + 0.0 * x, 3.0 * x * self.answer


def with_a_prior(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    return F.mse_loss(output[0], target) + output[1].square().sum()


def test_where_a_term_is_drowned_it_is_what_networks_are_judged_by() -> None:
    term = OneTerm(with_a_prior, 0, 2, "mse_loss", "line 5, which is drowned")
    x = torch.randn(200, 1)
    parts = data_of(x, torch.full_like(x, 3.3), Coded(0.0))
    endpoint = endpoint_of(Coded(0.0), parts, with_a_prior, judge=term)
    assert (endpoint.name, endpoint.higher_is_better) == ("mse_loss", False)
    assert "line 5, which is drowned, on samples" in endpoint.origin
    experiment = Experiment(
        target="net",
        make=lambda _: Coded(0.0),
        partition=parts,
        loss=with_a_prior,
        model=Coded(0.0),
        endpoint=endpoint,
        judge=term,
    )
    for answer in (0.5, 2.0):
        for loss in (with_a_prior, BalancedLoss(with_a_prior, 0, 2, 30.0)):
            model = Coded(answer).eval()
            step = torch.optim.SGD(model.parameters(), lr=0.1)
            subject = Subject(model=model, optimizer=step, loss=loss)
            assert measure(experiment, subject) == pytest.approx((answer - 3.3) ** 2, rel=1e-5)
            assert score(experiment, subject) == pytest.approx(-((answer - 3.3) ** 2), rel=1e-5)
