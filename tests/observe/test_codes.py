"""Codebooks whose rows hand no gradient back, and the many choices that are none of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import unvanish
from unvanish.core.codec import decode_recording, encode_recording
from unvanish.core.findings import Finding, Severity
from unvanish.core.records import Recording
from unvanish.diagnose import diagnose

CODES, WIDTH, PARTS = 12, 4, 2

Coded = Callable[["Coder", Tensor], Any]


class Coder(nn.Module):
    """An encoder, a codebook, a decoder, and a forward of one's own."""

    def __init__(self, forward: Coded) -> None:
        super().__init__()
        self.body, self.code = nn.Linear(6, 9), nn.Linear(9, PARTS * WIDTH)
        self.book = nn.Embedding(CODES, WIDTH)
        self.register_buffer("bank", torch.randn(CODES, WIDTH))
        self.decode, self.last = nn.Linear(PARTS * WIDTH, 10), nn.Linear(10, 6)
        self.gate = nn.Linear(WIDTH, CODES)
        self.own = forward

    def encoded(self, x: Tensor) -> Tensor:
        return self.code(torch.tanh(self.body(x))).view(-1, PARTS, WIDTH)

    def decoded(self, rows: Tensor) -> Tensor:
        return self.last(torch.tanh(self.decode(rows.flatten(1))))

    def nearest(self, z: Tensor) -> Tensor:
        return (z.unsqueeze(-2) - self.book.weight).square().sum(-1).argmin(-1)

    def forward(self, x: Tensor) -> Any:
        return self.own(self, x)


def drawn_together(z: Tensor, rows: Tensor) -> Tensor:
    return F.mse_loss(rows, z.detach()) + 0.25 * F.mse_loss(z, rows.detach())


def loss(output: Any, target: Tensor) -> Tensor:
    return F.mse_loss(output[0], target) + output[1]


X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))


def seen(forward: Coded) -> Recording:
    torch.manual_seed(0)
    return unvanish.trace(Coder(forward), (X, X), loss, batches=1, probe_steps=0)


def findings(recording: Recording) -> list[Finding]:
    return [one for one in diagnose(recording).findings if one.code == "UV205"]


# ---------------------------------------------------------------------------- sick


def plain(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    rows = own.book.weight[own.nearest(z)]
    return own.decoded(rows), drawn_together(z, rows)


def flattened(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    flat = z.reshape(-1, WIDTH)
    index = torch.cdist(flat.detach(), own.book.weight.detach()).argmin(1)
    rows = own.book(index).view_as(z)
    return own.decoded(rows), drawn_together(z, rows)


def as_one_hot_vectors(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    hot = F.one_hot(own.nearest(z), CODES).float()
    rows = hot @ own.book.weight
    return own.decoded(rows), drawn_together(z, rows)


def by_scattered_ones(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    index = own.nearest(z).reshape(-1, 1)
    hot = torch.zeros(len(index), CODES).scatter_(1, index, 1)
    rows = torch.matmul(hot, own.book.weight).view(z.shape)
    return own.decoded(rows), drawn_together(z, rows)


def the_most_alike(own: Coder, x: Tensor) -> Any:
    z = F.normalize(own.encoded(x), dim=-1)
    table = F.normalize(own.book.weight, dim=-1)
    rows = table[(z @ table.T).max(-1).indices]
    return own.decoded(rows), drawn_together(z, rows)


def without_recording_the_choice(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    with torch.no_grad():
        index = own.nearest(z)
    rows = own.book(index)
    return own.decoded(rows), drawn_together(z, rows)


def a_bank_that_is_averaged(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    bank: Tensor = own.bank
    rows = bank[torch.cdist(z, bank).argmin(-1)]
    return own.decoded(rows), 0.25 * F.mse_loss(z, rows.detach())


def part_by_part(own: Coder, x: Tensor) -> Any:
    parts = own.encoded(x).unbind(1)
    rows = [own.book(own.nearest(part)) for part in parts]
    pulled = sum(drawn_together(z, row) for z, row in zip(parts, rows, strict=True))
    return own.decoded(torch.stack(rows, 1)), pulled


def by_the_distance_to_the_nearest(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    distance, index = torch.cdist(z, own.book.weight).min(-1)
    return own.decoded(own.book(index)), distance.mean()


def what_is_left_over(own: Coder, x: Tensor) -> Any:
    left = own.encoded(x)
    rows, pulled = torch.zeros(()), torch.zeros(())
    for _ in range(3):
        row = own.book(own.nearest(left))
        rows, pulled = rows + row, pulled + drawn_together(left, row)
        left = left - row
    return own.decoded(rows), pulled


def by_a_book_for_each_level(own: Coder, x: Tensor) -> Any:
    left = own.encoded(x)
    first = own.book(own.nearest(left))
    rest = left - first
    table = own.gate.weight[:CODES]
    second = table[torch.cdist(rest, table).argmin(-1)]
    pulled = drawn_together(left, first) + drawn_together(rest, second)
    return own.decoded(first + second), pulled


SICK = [
    what_is_left_over,
    plain,
    flattened,
    as_one_hot_vectors,
    by_scattered_ones,
    the_most_alike,
    without_recording_the_choice,
    a_bank_that_is_averaged,
    part_by_part,
    by_the_distance_to_the_nearest,
]


@pytest.mark.parametrize("forward", SICK)
def test_rows_that_hand_no_gradient_back_are_found(forward: Coded) -> None:
    recording = seen(forward)
    (rows,) = recording.lookups
    assert rows.source is not None
    assert "decode.weight" in rows.feeds
    (finding,) = findings(recording)
    assert finding.severity is Severity.WARNING
    assert set(finding.parameters) == {"body.weight", "body.bias", "code.weight", "code.bias"}
    assert str(rows.source) in finding.message
    assert "(z_q - z_e).detach()" in finding.help[0]


def test_both_books_of_two_levels_are_found() -> None:
    recording = seen(by_a_book_for_each_level)
    assert [rows.table for rows in recording.lookups] == [("book.weight",), ("gate.weight",)]


def test_they_survive_a_file() -> None:
    recording = seen(plain)
    assert recording.lookups[0].table == ("book.weight",)
    assert decode_recording(encode_recording(recording)).lookups == recording.lookups


def test_an_encoder_that_starves_is_an_error_and_told_once() -> None:
    def alone(own: Coder, x: Tensor) -> Any:
        return own.decoded(own.book(own.nearest(own.encoded(x)))), torch.zeros(())

    recording = seen(alone)
    assert recording.lookups
    (finding,) = findings(recording)
    assert finding.severity is Severity.ERROR


def test_frozen_layers_learn_nothing_of_the_rows() -> None:
    torch.manual_seed(0)
    model = Coder(plain)
    for part in (model.decode, model.last):
        part.requires_grad_(requires_grad=False)
    assert not findings(unvanish.trace(model, (X, X), loss, batches=1, probe_steps=0))


# ---------------------------------------------------------------------------- healthy


def straight_through(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    rows = own.book(own.nearest(z))
    return own.decoded(z + (rows - z).detach()), drawn_together(z, rows)


def what_is_left_over_straight_through(own: Coder, x: Tensor) -> Any:
    z = left = own.encoded(x)
    rows, pulled = torch.zeros(()), torch.zeros(())
    for _ in range(3):
        row = own.book(own.nearest(left))
        rows, pulled = rows + row, pulled + drawn_together(left, row)
        left = left - row
    return own.decoded(z + (rows - z).detach()), pulled


def with_the_rows_gradient_too(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    rows = own.book(own.nearest(z))
    return own.decoded(rows + (z - z.detach())), drawn_together(z, rows)


class Copied(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, z: Tensor, table: Tensor) -> Tensor:
        return table[torch.cdist(z, table).argmin(-1)]

    @staticmethod
    def backward(_: Any, slope: Tensor) -> tuple[Tensor, None]:
        return slope, None


def by_a_function_of_ones_own(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    rows = own.book(own.nearest(z))
    return own.decoded(Copied.apply(z, own.book.weight)), drawn_together(z, rows)


def soft_and_hard(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    soft = torch.softmax(-torch.cdist(z, own.book.weight), -1)
    hard = F.one_hot(soft.argmax(-1), CODES).float()
    rows = (soft + (hard - soft).detach()) @ own.book.weight
    return own.decoded(rows), 0.25 * F.mse_loss(z, rows.detach())


def gumbel(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    hot = F.gumbel_softmax(-torch.cdist(z, own.book.weight), hard=True)
    return own.decoded(hot @ own.book.weight), z.square().mean()


def experts_with_a_gate(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    share, index = torch.softmax(z @ own.book.weight.T, -1).max(-1)
    return own.decoded(own.book(index) * share.unsqueeze(-1)), z.square().mean()


def experts_weighed_behind(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    share, index = torch.softmax(z @ own.book.weight.T, -1).max(-1)
    return own.decoded(own.book(index)) * share.prod(1, keepdim=True), z.square().mean()


def by_the_likelihood_of_the_choice(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    scores = torch.log_softmax(z @ own.book.weight.T, -1)
    index = scores.argmax(-1)
    output = own.decoded(own.book(index))
    reward = -(output - x).square().mean(1).detach()
    likely = scores.gather(-1, index.unsqueeze(-1)).sum((1, 2))
    return output, -(likely * reward).mean()


def of_the_input(own: Coder, x: Tensor) -> Any:
    index = x[:, :PARTS].abs().mul(4).long().clamp(max=CODES - 1)
    return own.decoded(own.book(index)), own.encoded(x).square().mean()


def of_a_frozen_encoder(own: Coder, x: Tensor) -> Any:
    with torch.no_grad():
        z = own.encoded(x)
    rows = own.book(own.nearest(z))
    return own.decoded(rows), own.encoded(x).square().mean()


def another_table(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    return own.decoded(own.book(own.gate(z).argmax(-1))), own.gate(z).square().mean()


def neighbours_in_the_batch(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    flat = z.flatten(1)
    apart = torch.cdist(flat, flat) + 1e3 * torch.eye(len(x))
    return own.decoded(z[apart.argmin(1)]), z.square().mean()


def a_target(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    rows = own.book(own.nearest(z))
    return own.decoded(z), drawn_together(z, rows)


def read_by_another_network(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    rows = own.book(own.nearest(z))
    output = own.last(torch.tanh(z.flatten(1) @ own.decode.weight.T))
    return output, drawn_together(z, rows) + own.decoded(rows.detach()).square().mean()


def beside_a_skip(own: Coder, x: Tensor) -> Any:
    z = own.encoded(x)
    rows = own.book(own.nearest(z))
    return own.decoded(torch.cat([rows[:, :1], z[:, 1:]], 1)), drawn_together(z, rows)


@pytest.mark.parametrize(
    "forward",
    [
        straight_through,
        what_is_left_over_straight_through,
        with_the_rows_gradient_too,
        by_a_function_of_ones_own,
        soft_and_hard,
        gumbel,
        experts_with_a_gate,
        experts_weighed_behind,
        by_the_likelihood_of_the_choice,
        of_the_input,
        of_a_frozen_encoder,
        another_table,
        neighbours_in_the_batch,
        a_target,
        read_by_another_network,
        beside_a_skip,
    ],
)
def test_rows_that_do_or_need_not_are_none(forward: Coded) -> None:
    recording = seen(forward)
    assert recording.lookups == ()
    assert findings(recording) == []
