import noisy_votes as user
import torch

STEPS = 350
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: a third of the labels are wrong, so the loss stays near 0.65 while the rule is learnt."

X, Y = user.survey(1000, 83)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()

EVIDENCE = "as written, seeds 0 1 2: 0.864 0.867 0.844; goal 0.7, 350 steps, slowest run 0.7 s"
