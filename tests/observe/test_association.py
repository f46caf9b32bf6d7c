"""What a batch says about which steps of a sequence its target depends on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from unvanish.observe import trace
from unvanish.observe.association import associations


@pytest.fixture
def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_step_that_is_the_answer_stands_out(noise: torch.Generator) -> None:
    tokens = torch.randint(4, (64, 100), generator=noise)
    errors = associations(tokens, [tokens[:, 7]])
    assert len(errors) == 100
    assert errors[7] > 10.0
    assert max(errors[:7] + errors[8:]) < 4.0


@pytest.mark.parametrize("samples", [16, 64, 500])
@pytest.mark.parametrize("features", [1, 12, 50])
def test_noise_gives_standard_errors(noise: torch.Generator, samples: int, features: int) -> None:
    values = torch.randn(samples, 150, features, generator=noise)
    for target in (
        torch.randint(3, (samples,), generator=noise),
        torch.randn(samples, 2, generator=noise),
    ):
        errors = torch.tensor(associations(values, [target]))
        assert abs(float(errors.mean())) < 0.3
        # Smaller where the features outnumber the samples: then it takes more to stand out.
        assert (0.6 if features < samples else 0.3) < float(errors.std()) < 1.3
        assert float(errors.max()) < 4.5


def test_padding_tells_nothing(noise: torch.Generator) -> None:
    answer = torch.randint(2, (64,), generator=noise)
    values = torch.randn(64, 40, 3, generator=noise) + answer[:, None, None]
    values[:, 10:] = 0.0
    errors = associations(values, [answer])
    assert min(errors[:10]) > 4.0
    assert set(errors[10:]) == {0.0}
    assert associations(values.transpose(0, 1), [answer]) == errors


def test_what_has_no_steps_or_no_one_answer_is_left_alone() -> None:
    table, answers = torch.randn(64, 30), torch.randint(3, (64,))
    unmeasured: tuple[tuple[Tensor, list[Tensor]], ...] = (
        (torch.randn(64, 3, 8, 8), [answers]),
        (table, []),
        (table, [torch.tensor(1.0)]),
        (table, [torch.randint(3, (64, 30))]),  # an answer for every step
        (table[:4], [answers[:4]]),
        (torch.randn(64, 2**14, 1), [answers]),
        (table.to(torch.complex64), [answers]),
    )
    for values, targets in unmeasured:
        assert associations(values, targets) == ()
    broken = table.clone()
    broken[3, 5] = float("nan")
    assert len(associations(broken, [answers])) == 30


def test_it_is_measured_where_steps_repeat() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(2, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])

    batch = torch.randn(16, 9, 2), torch.arange(16) % 3
    given, target = trace(Last(), batch, probe_steps=0).data
    assert len(given.association) == 9
    assert target.association == ()
    flat = nn.Sequential(nn.Flatten(), nn.Linear(18, 3))
    assert trace(flat, batch, probe_steps=0).data[0].association == ()
