import markov_lm as user
import torch

STEPS = 400
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "Healthy: the loss stays high as the source's entropy rate is high, and the tied embedding starts tiny."

A, B = user.write(400, 64)
FLOOR = -torch.log(user.CHAIN[A, B]).mean().item()
GOAL = 0.2


def metric(model):
    """Nats per token above the true source."""
    with torch.no_grad():
        return user.loss(model(A), B).item() - FLOOR

EVIDENCE = "as written, seeds 0 1 2: 0.0474 0.047 0.0477; goal 0.2, 400 steps, slowest run 1.6 s"
