"""Whatever a network answers, its loss is that of logarithms of probabilities."""

import torch
import torch.nn.functional as F

from unvanish.treat.logarithms import LoggedLoss, logged

SCORES = torch.randn(5, 7, 4, generator=torch.Generator().manual_seed(0))


def test_probabilities_logarithms_and_scores_come_to_the_same() -> None:
    wanted = SCORES.log_softmax(-1)
    for given in (SCORES, SCORES.softmax(-1), wanted):
        assert torch.allclose(logged(given), wanted, atol=1e-5)
    sure = torch.eye(4)
    assert logged(sure).isfinite().all()
    assert logged((SCORES,)) == (SCORES,)


def test_the_loss_is_that_of_the_logarithms() -> None:
    target = torch.randint(1, 4, (5, 2), generator=torch.Generator().manual_seed(1))
    lengths = torch.full((5,), 7), torch.full((5,), 2)

    def ctc(output, target):
        return F.ctc_loss(output.transpose(0, 1), target, *lengths)

    judge = LoggedLoss(ctc)
    right = ctc(SCORES.log_softmax(-1), target)
    assert torch.allclose(judge(SCORES.softmax(-1), target), right, atol=1e-4)
    assert judge.calm() is judge
    assert judge.name == "loss"
