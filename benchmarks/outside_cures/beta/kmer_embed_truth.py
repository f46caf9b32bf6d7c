import kmer_embed as user
import torch

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Weight decay 0.1 as an L2 term inside Adam outweighs the gradient: embeddings and layers shrink to zero."

R, Y = user.reads(800, 19)


def metric(model):
    with torch.no_grad():
        return (model(R).argmax(1) == Y).float().mean().item()


def cured():
    model = user.model()
    return model, torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.36 0.36 0.36; cured: 0.999 0.995 0.995; goal 0.75, 400 steps, slowest run 0.5 s"
