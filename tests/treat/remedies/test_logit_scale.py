"""Cosines that a cross entropy takes for scores: found, left in peace, and given a factor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import trace, treat
from unvanish.core.findings import Severity
from unvanish.core.verdicts import Clear, Found, NotApplicable
from unvanish.diagnose.rules.output_loss_pair import OutputLossPair
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of


def by_function(h: Tensor, w: Tensor) -> Tensor:
    return F.linear(F.normalize(h), F.normalize(w))


def by_hand(h: Tensor, w: Tensor) -> Tensor:
    return F.linear(h / h.norm(dim=1, keepdim=True), w / w.norm(dim=1, keepdim=True))


def by_similarity(h: Tensor, w: Tensor) -> Tensor:
    return F.cosine_similarity(h[:, None], w[None], dim=-1)


def by_einsum(h: Tensor, w: Tensor) -> Tensor:
    return torch.einsum("nd,kd->nk", F.normalize(h), F.normalize(w))


def half(h: Tensor, w: Tensor) -> Tensor:
    return F.linear(F.normalize(h), w)


class ByAngle(nn.Module):
    """A classifier whose scores are cosines times a factor."""

    def __init__(
        self,
        scores: Callable[[Tensor, Tensor], Tensor],
        factor: float,
        classes: int,
        learned: bool = False,
    ) -> None:
        super().__init__()
        self.scores = scores
        self.layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
        self.weight = nn.Parameter(torch.randn(classes, 8))
        self.factor = nn.Parameter(torch.tensor(factor)) if learned else factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.scores(self.layers(x), self.weight)


def batch(classes: int) -> tuple[Tensor, Tensor]:
    return torch.randn(64, 16), torch.randint(classes, (64,))


@pytest.mark.parametrize(
    ("scores", "factor", "classes", "is_flat"),
    [
        (by_function, 1.0, 2000, True),
        (by_hand, 1.0, 2000, True),
        (by_similarity, 1.0, 2000, True),
        (by_einsum, 1.0, 2000, True),
        (by_function, 0.07, 10, True),
        (by_function, 1.0, 10, False),
        (by_function, 2.0, 512, False),
        (by_function, 16.0, 2000, False),
        (half, 1.0, 2000, False),
    ],
)
def test_cosines_too_near_to_each_other(
    scores: Callable[[Tensor, Tensor], Tensor], factor: float, classes: int, is_flat: bool
) -> None:
    torch.manual_seed(0)
    recording = trace(ByAngle(scores, factor, classes), batch(classes), "cross_entropy")
    verdict = OutputLossPair().examine(recording)
    if not is_flat:
        assert isinstance(verdict, Clear)
        return
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is Severity.WARNING
    assert f"cosines times {factor:.2g}" in finding.message
    assert "divide the cosines by a temperature" in finding.help[0]


def test_a_factor_that_is_learned_is_left_in_peace() -> None:
    recording = trace(ByAngle(by_function, 1.0, 2000, learned=True), batch(2000), "cross_entropy")
    assert isinstance(OutputLossPair().examine(recording), Clear)


def test_cosines_are_given_a_trained_factor() -> None:
    torch.manual_seed(0)
    model, given = ByAngle(by_function, 0.07, 10), batch(10)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    treated = treat(model, "logit-scale", given, "cross_entropy", optimizer=optimizer)
    assert torch.allclose(treated.model(given[0]), 204.0 * model(given[0]))
    (alpha,) = (p for name, p in treated.model.named_parameters() if name.endswith("alpha"))
    assert treated.optimizer is not None
    assert any(p is alpha for group in treated.optimizer.param_groups for p in group["params"])
    assert isinstance(OutputLossPair().examine(trace(treated.model, given, "cross_entropy")), Clear)


def test_cosines_of_the_loss_are_the_users() -> None:
    layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
    prototypes = torch.randn(2000, 8)

    def loss(h: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(by_similarity(h, prototypes), target)

    given = batch(2000)
    case = case_of(layers, given, loss, recording=trace(layers, given, loss))
    found = remedy_of("logit-scale").assess(case)
    assert isinstance(found, NotApplicable)
    assert "divide them by 0.07 there" in found.reason
