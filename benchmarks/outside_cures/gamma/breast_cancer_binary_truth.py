import torch
import torch.nn as nn

import breast_cancer_binary as user

STEPS = 300
GOAL = 0.88
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "A softmax over a single output is the constant 1, whose derivative is zero; the output "
    "should be a sigmoid."
)


def metric(model):
    x = torch.from_numpy((user.X[480:] - user.mean) / user.std)
    y = torch.from_numpy(user.y[480:]).unsqueeze(1)
    model.eval()
    with torch.no_grad():
        return ((model(x) > 0.5).float() == y).float().mean().item()


def cured():
    model = user.TumourNet()
    model.softmax = nn.Sigmoid()
    return model, user.optimizer(model), user.loss


EVIDENCE = (
    "300 steps, seeds 0 1 2: as it is 0.6517, 0.6517, 0.6517; cured 0.9551, 0.9663, "
    "0.9663; goal 0.88; slowest run 1.8 s on one core"
)
