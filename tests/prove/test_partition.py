"""Data are drawn once, frozen and parted, by rows only where a row is a sample."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from unvanish.core.errors import BatchError
from unvanish.prove.partition import Partition, partition

Pair = tuple[Tensor, Tensor]


def pairs(count: int, size: int, *, last: int = 0, seed: int = 0) -> list[Pair]:
    """Return batches of random numbers, the last one shorter where that is said."""
    random = torch.Generator().manual_seed(seed)
    sizes = [size] * count + ([last] if last else [])
    return [
        (torch.randn(n, 6, generator=random), torch.randint(3, (n,), generator=random))
        for n in sizes
    ]


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def split(batches: Any, model: nn.Module, *, keep: bool = True, wanted: int = 100, **more: Any):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return partition(batches, model, wanted=wanted, keep_held_out=keep, **more)


def inputs_of(batches: Any) -> set[tuple[float, ...]]:
    return {tuple(row) for batch in batches for row in batch[0].reshape(len(batch[0]), -1).tolist()}


def one_pass(parts: Partition, seed: int = 0) -> list[Any]:
    return list(itertools.islice(parts.stream(seed), parts.batches))


def test_rows_go_into_three_parts_that_share_none() -> None:
    batches = pairs(10, 32, last=7)
    parts = split(batches, mlp())
    assert parts.by_rows
    trained = inputs_of([parts.training])
    chosen, judged = inputs_of(parts.validation), inputs_of(parts.held_out)
    assert not trained & chosen
    assert not trained & judged
    assert not chosen & judged
    assert trained | chosen | judged == inputs_of(batches)
    assert parts.samples == len(judged) == 65
    assert len(chosen) == 40


def test_a_row_keeps_its_target() -> None:
    def batches() -> Iterator[Pair]:
        for x, _ in pairs(6, 20):
            yield x, (x[:, 0] > 0).long()

    parts = split(batches(), mlp())
    for x, y in (*parts.validation, *parts.held_out, *one_pass(parts)):
        assert torch.equal((x[:, 0] > 0).long(), y)


def test_training_batches_keep_their_size_and_a_short_one_is_left_out() -> None:
    parts = split(pairs(10, 32, last=1), nn.Sequential(mlp(), nn.BatchNorm1d(3)))
    assert {len(x) for x, _ in itertools.islice(parts.stream(0), 3 * parts.batches)} == {32}
    assert len(parts.first[0]) == 32


def test_equal_seeds_give_equal_streams_and_global_randomness_has_no_part() -> None:
    parts = split(pairs(8, 16), mlp())
    first = [x for x, _ in itertools.islice(parts.stream(3), 20)]
    torch.manual_seed(99)
    again = []
    for x, _ in itertools.islice(parts.stream(3), 20):
        torch.rand(5)
        again.append(x)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = [x for x, _ in itertools.islice(parts.stream(4), 20)]
    assert not torch.equal(first[0], other[0])


def test_each_pass_meets_every_row_in_another_order() -> None:
    parts = split(pairs(10, 10), mlp())
    stream = parts.stream(0)
    passes = [[next(stream)[0] for _ in range(parts.batches)] for _ in range(2)]
    assert not torch.equal(passes[0][0], passes[1][0])
    assert len(inputs_of([(x, x) for x in passes[0]])) == parts.batches * parts.size


def test_one_full_batch_stays_full_on_what_is_left() -> None:
    parts = split(pairs(1, 200), mlp())
    assert parts.by_rows
    assert parts.batches == 1
    assert parts.size == parts.rows == 135


def test_classes_are_in_every_part_in_proportion() -> None:
    x = torch.randn(400, 6)
    y = torch.tensor([0] * 300 + [1] * 80 + [2] * 20)
    parts = split(zip(x.split(50), y.split(50), strict=True), mlp())
    judged = torch.cat([y for _, y in parts.held_out])
    assert judged.bincount().tolist() == [60, 16, 4]
    chosen = torch.cat([y for _, y in parts.validation])
    assert chosen.bincount().tolist() == pytest.approx([37.5, 10, 2.5], abs=1)


def test_a_class_of_two_rows_stays_in_the_training_part() -> None:
    x, y = torch.randn(100, 6), torch.tensor([0] * 98 + [2] * 2)
    parts = split([(x, y)], mlp())
    assert int((parts.training[1] == 2).sum()) == 2


def test_an_endless_generator_gives_no_more_than_is_wanted() -> None:
    drawn = []

    def endless() -> Iterator[Pair]:
        for number in itertools.count():
            drawn.append(number)
            yield pairs(1, 8, seed=number)[0]

    parts = split(endless(), mlp(), wanted=20)
    assert parts.batches >= 20
    assert len(drawn) < 35
    said = f"the first {len(drawn) - 1} batches, {8 * (len(drawn) - 1)} samples, were drawn"
    assert said in parts.notes[0]


def test_data_that_end_are_not_said_to_go_on() -> None:
    parts = split(pairs(30, 8), mlp(), wanted=20)
    assert not any("go on" in note for note in parts.notes)


def test_a_batch_too_many_that_cannot_be_drawn_is_nobodys_loss() -> None:
    def breaking() -> Iterator[Pair]:
        yield from pairs(30, 8)
        raise ValueError("the disk is gone")

    assert split(breaking(), mlp(), wanted=20).batches >= 20


def test_memory_is_a_limit_and_is_said() -> None:
    parts = split(itertools.cycle(pairs(5, 100)), mlp(), wanted=10_000, most_bytes=50_000)
    assert any("MiB" in note for note in parts.notes)


def test_passes_over_one_data_set_are_recognised_and_kept_once() -> None:
    whole = torch.randn(300, 6), torch.randint(3, (300,))

    def loader() -> Iterator[Pair]:
        for number in itertools.count():
            order = torch.randperm(300, generator=torch.Generator().manual_seed(number))
            for rows in order.split(32)[:-1]:
                yield whole[0][rows], whole[1][rows]

    parts = split(loader(), mlp(), wanted=200)
    assert parts.rows + parts.samples + len(inputs_of(parts.validation)) == 300
    assert not inputs_of([parts.training]) & inputs_of(parts.held_out)
    assert "come around again" in parts.notes[0]


def test_draws_with_repeats_stay_as_they_are_and_it_is_said() -> None:
    random = torch.Generator().manual_seed(0)
    bits = torch.randint(2, (40, 32, 6), generator=random).float()
    parts = split([(x, x.sum(dim=1).long() % 2) for x in bits], mlp())
    assert parts.rows + parts.samples + sum(len(x) for x, _ in parts.validation) == 40 * 32
    assert any("in the training part as well" in note for note in parts.notes)


def test_a_handful_of_samples_is_not_parted() -> None:
    xor = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    parts = split([(xor, torch.tensor([0, 1, 1, 0]))], nn.Linear(2, 2))
    assert parts.held_out_is_seen
    assert len(parts.first[0]) == parts.samples == 4
    assert "not that it generalises" in parts.notes[-1]


def test_without_a_held_out_part_its_rows_are_trained_on() -> None:
    parts = split(pairs(10, 32), mlp(), keep=False)
    assert parts.held_out == ()
    assert not parts.held_out_is_seen
    assert parts.rows == 280


class Graph(nn.Module):
    """A graph convolution whose graph is a buffer."""

    adjacency: Tensor

    def __init__(self, nodes: int) -> None:
        super().__init__()
        ring = torch.eye(nodes) + torch.eye(nodes).roll(1, 0)
        self.register_buffer("adjacency", ring)
        self.lift = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.adjacency @ self.lift(x)


class Recurrent(nn.Module):
    """A recurrent network whose batches have time first."""

    def __init__(self, *, weak: float = 1.0) -> None:
        super().__init__()
        self.rnn = nn.RNN(6, 8)
        self.out = nn.Linear(8, 3)
        with torch.no_grad():
            self.rnn.weight_hh_l0.mul_(weak)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0])


class Mean(nn.Module):
    """What one row says hangs on the mean of all."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :3] - 1e-7 * x[:, :3].mean(dim=0)


@pytest.mark.parametrize("weak", [1.0, 1e-9])
def test_sequences_with_time_first_are_kept_whole(weak: float) -> None:
    batches = [(torch.randn(64, 5, 6), torch.randint(3, (64, 5))) for _ in range(8)]
    parts = split(batches, Recurrent(weak=weak))
    assert not parts.by_rows
    assert (len(parts.training), len(parts.validation), len(parts.held_out)) == (5, 1, 2)


def test_words_with_time_first_are_kept_whole_though_they_say_nothing_yet() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.rest = nn.Embedding(50, 6), Recurrent(weak=1e-9)

        def forward(self, words: Tensor) -> Tensor:
            return self.rest(self.embed(words))

    batches = [(torch.randint(50, (64, 5)), torch.randint(3, (64, 5))) for _ in range(8)]
    assert not split(batches, Words()).by_rows


@pytest.mark.parametrize("model", [Graph(60), Mean()])
def test_rows_that_hang_on_each_other_are_kept_together(model: nn.Module) -> None:
    parts = split(pairs(8, 60), model)
    assert not parts.by_rows
    whole = [x for x, _ in parts.training]
    assert all(any(torch.equal(x, y) for y in whole) for x, _ in one_pass(parts))


def test_one_graph_is_trained_on_and_judged_by() -> None:
    parts = split([*pairs(1, 60)] * 3, Graph(60))
    assert parts.held_out_is_seen
    assert not parts.by_rows
    assert len(parts.training) == len(parts.held_out) == 1


def test_features_beside_an_adjacency_matrix_are_no_rows() -> None:
    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lift = nn.Linear(6, 3)

        def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
            return adjacency @ self.lift(x)

    graph = (torch.randn(60, 6), torch.eye(60)), torch.randint(3, (60,))
    assert split([graph], Given()).held_out_is_seen


def test_packed_sequences_are_kept_whole() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(6, 3, batch_first=True)

        def forward(self, x: PackedSequence) -> Tensor:
            return self.lstm(x)[1][0][-1]

    def batch() -> tuple[PackedSequence, Tensor]:
        packed = pack_padded_sequence(torch.randn(3, 4, 6), torch.tensor([4, 2, 1]), True)
        return packed, torch.tensor([0, 1, 2])

    parts = split([batch() for _ in range(8)], Packed())
    assert not parts.by_rows
    assert isinstance(parts.first[0], PackedSequence)


def test_two_views_are_rows_but_a_loss_across_the_batch_keeps_it_whole() -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp()

        def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
            return self.net(first), self.net(second)

    def contrast(output: tuple[Tensor, Tensor], _: Any) -> Tensor:
        scores = output[0] @ output[1].T
        return F.cross_entropy(scores, torch.arange(len(scores)))

    batches = [{"first": x, "second": x + 1} for x, _ in pairs(8, 32)]
    assert split(batches, Views()).by_rows
    assert not split(batches, Views(), loss=contrast).by_rows


@pytest.mark.parametrize(
    "loss", ["cross_entropy", nn.CrossEntropyLoss(reduction="sum"), None, nn.CrossEntropyLoss()]
)
def test_losses_that_add_up_leave_the_rows_free(loss: Any) -> None:
    assert split(pairs(8, 32), mlp(), loss=loss).by_rows


def test_a_loss_that_counts_some_rows_of_a_batch_keeps_it_whole() -> None:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        first = target[:4].sum() * 0 + (torch.arange(len(target)) < 4).float()
        return output.square().mean() + (first * output[:, 0]).sum() / 4

    assert not split(pairs(8, 32), mlp(), loss=loss).by_rows


def test_mappings_may_hold_words_and_nothing() -> None:
    class Keyed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp()

        def forward(self, x: Tensor, mode: str = "", mask: Tensor | None = None) -> Tensor:
            assert mode == "train"
            assert mask is None
            return self.net(x)

    batches = [{"x": x, "mode": "train", "mask": None, "labels": y} for x, y in pairs(8, 32)]
    parts = split(batches, Keyed())
    assert parts.by_rows
    assert parts.first["mode"] == "train"
    assert parts.first["labels"].shape == (32,)


def test_a_number_of_rows_beside_them_keeps_a_batch_whole() -> None:
    class Counted(nn.Module):
        def forward(self, x: Tensor, count: int) -> Tensor:
            return x.reshape(-1, 6)[:count]

    batches = [((x, 32), y) for x, y in pairs(8, 32)]
    assert not split(batches, Counted()).by_rows


def test_a_state_carried_from_batch_to_batch_keeps_them_whole() -> None:
    class Carrying(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.state = nn.GRU(6, 3), None

        def forward(self, x: Tensor) -> Tensor:
            out, state = self.rnn(x[None], self.state)
            self.state = state.detach()
            return out[0]

    parts = split(pairs(8, 32), Carrying())
    assert not parts.by_rows
    assert {len(x) for x, _ in parts.held_out} == {32}


def test_numbers_drawn_in_the_forward_pass_keep_batches_whole() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn_like(x)

    assert not split(pairs(8, 32), Noisy()).by_rows


def test_a_network_that_returns_one_number_keeps_batches_whole() -> None:
    class Own(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.square().mean()

    assert not split([x for x, _ in pairs(8, 32)], Own()).by_rows


def test_a_network_that_writes_on_its_input_spoils_nothing() -> None:
    parts = split(pairs(5, 60), nn.Sequential(nn.ReLU(inplace=True), Graph(60)))
    before = parts.digest()
    for x, _ in itertools.islice(parts.stream(0), 10):
        x.zero_()
    parts.first[0].zero_()
    again = Partition(**{name: getattr(parts, name) for name in parts.__dataclass_fields__})
    assert again.digest() == before


def test_the_data_are_frozen_whatever_becomes_of_the_users_tensors() -> None:
    batches = pairs(8, 32)
    parts = split(batches, mlp())
    before = parts.digest()
    for x, _ in batches:
        x.zero_()
    again = Partition(**{name: getattr(parts, name) for name in parts.__dataclass_fields__})
    assert again.digest() == before


def test_the_digest_tells_data_apart() -> None:
    one, same, other = (split(pairs(8, 32, seed=s), mlp()).digest() for s in (0, 0, 1))
    assert one == same != other


def test_the_network_and_its_modes_are_left_alone() -> None:
    model = nn.Sequential(mlp(), nn.BatchNorm1d(3), nn.Dropout())
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    split(pairs(8, 32), model, loss="cross_entropy")
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(not module._forward_hooks for module in model.modules())


def test_inputs_that_ask_for_a_gradient_still_do() -> None:
    class Derivative(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(1, 1)

        def forward(self, t: Tensor) -> Tensor:
            u = self.net(t)
            return torch.autograd.grad(u.sum(), t, create_graph=True)[0] + u

    batches = [torch.rand(64, 1, requires_grad=True) for _ in range(8)]
    parts = split(batches, Derivative())
    assert parts.by_rows
    assert parts.first.requires_grad
    assert parts.first.is_leaf


def test_double_precision_is_kept() -> None:
    batches = [(x.double(), y) for x, y in pairs(8, 32)]
    parts = split(batches, mlp().double())
    assert parts.by_rows
    assert parts.first[0].dtype == torch.float64


def test_data_that_differ_when_drawn_again_are_noticed() -> None:
    seeds = itertools.count()

    def draw() -> list[Pair]:
        return pairs(8, 32, seed=next(seeds))

    assert "differ" in split(draw(), mlp(), again=draw).notes[0]
    same = pairs(8, 32)
    assert not any("differ" in note for note in split(same, mlp(), again=lambda: same).notes)


def test_batches_of_several_shapes_are_kept_whole() -> None:
    batches = [(torch.randn(8, n, 6), torch.randint(3, (8, n))) for n in range(4, 14)]
    parts = split(batches, mlp())
    assert not parts.by_rows
    assert len(parts.held_out) == 2


def test_no_batch_is_an_error() -> None:
    with pytest.raises(BatchError, match="give no batch"):
        split([], mlp())


def test_an_error_in_the_data_is_the_users() -> None:
    def broken() -> Iterator[Pair]:
        yield pairs(1, 8)[0]
        raise ValueError("no such file")

    with pytest.raises(BatchError, match="drawing from the data raised ValueError: no such file"):
        split(broken(), mlp())


@pytest.mark.gpu
def test_everything_lies_where_the_network_is() -> None:
    parts = split(pairs(10, 32), mlp().cuda(), loss="cross_entropy")
    assert parts.by_rows
    batches = [*one_pass(parts), *parts.validation, *parts.held_out, parts.first]
    assert all(tensor.is_cuda for batch in batches for tensor in batch)


def noisy(number: int) -> list[Pair]:
    """Return one pass over samples that get other noise on every pass."""
    random = torch.Generator().manual_seed(number)
    return [(x + 0.1 * torch.randn(x.shape, generator=random), y) for x, y in pairs(10, 32)]


def test_samples_that_come_out_anew_on_every_pass_are_drawn_as_often_as_a_run_meets_them() -> None:
    parts = split(noisy(0), mlp(), keep=False, wanted=35, redraw=noisy)
    assert parts.batches == 35
    assert inputs_of(noisy(1)) <= inputs_of([parts.training])
    assert not inputs_of(parts.validation) & inputs_of([parts.training])
    assert "4 passes were drawn" in parts.notes[-1]


def test_whole_batches_are_drawn_anew_as_well() -> None:
    parts = split(noisy(0), Mean(), keep=False, wanted=35, redraw=noisy)
    assert not parts.by_rows
    assert parts.batches == 36
    assert inputs_of(noisy(1)) <= inputs_of(parts.training)
    assert "4 passes were drawn" in parts.notes[-1]


@pytest.mark.parametrize("number", [0, 3])
def test_passes_over_the_same_samples_are_not_drawn(number: int) -> None:
    def shuffled(_: int) -> list[Pair]:
        return pairs(10, 32)[number:]

    parts = split(pairs(10, 32), mlp(), keep=False, wanted=35, redraw=shuffled)
    assert parts.rows == 280
    assert not any("passes" in note for note in parts.notes)


def test_no_further_pass_is_drawn_where_a_part_is_kept_to_judge_by() -> None:
    parts = split(noisy(0), mlp(), keep=True, wanted=35, redraw=noisy)
    assert parts.rows + parts.samples + 40 == 320


def test_passes_end_where_the_data_are_used_up_or_too_large() -> None:
    def once(number: int) -> list[Pair]:
        return noisy(number) if number == 1 else []

    parts = split(noisy(0), mlp(), keep=False, wanted=100, redraw=once)
    assert parts.rows == 280 + 320
    parts = split(noisy(0), mlp(), keep=False, wanted=100, redraw=noisy, most_bytes=20_000)
    assert parts.rows < 1000
