import copy_head as user
import torch

STEPS = 350
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "SGD at 1e-3 barely moves a transformer (its learning rate is orders too small, and it wants Adam)."

X, Y = user.strings(400, 53)


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(-1) == Y)[:, user.T // 2 :].float().mean().item()


def cured():
    model = user.model()
    return model, torch.optim.AdamW(model.parameters(), lr=3e-3), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.175 0.188 0.176; cured: 0.999 1 1; goal 0.75, 350 steps, slowest run 7.2 s"
