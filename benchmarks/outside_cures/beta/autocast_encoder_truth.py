import autocast_encoder as user
import torch

STEPS = 300
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: bfloat16 in the matrix products only, post-norm with two layers, tiny embeddings; all of it trains."

W, C = user.words(800, 39)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(W).argmax(1) == C).float().mean().item()

EVIDENCE = "as written, seeds 0 1 2: 0.983 1 1; goal 0.75, 300 steps, slowest run 2.4 s"
