import math

import torch
import torch.nn as nn

import key_value_recall as user

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Query and key matrices of standard deviation 1 and no division by sqrt(dim): scores of "
    "several hundred, a softmax that is one-hot at a wrong place and passes no gradient."
)


def metric(model):
    keys, values, query, answer = user.episodes(800, seed=606)
    model.eval()
    with torch.no_grad():
        return (model(keys, values, query).argmax(1) == answer).float().mean().item()


def cured():
    model = user.Recall()
    # the scale 1 / sqrt(dim) is folded into the query matrix
    nn.init.normal_(model.to_k.weight, std=1 / math.sqrt(user.DIM))
    nn.init.normal_(model.to_q.weight, std=1 / user.DIM)
    return model, torch.optim.Adam(model.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    "500 steps, seeds 0 1 2: as it is 0.3363, 0.185, 0.25; cured 1, 1, 1; goal 0.8; "
    "slowest run 3.1 s on one core"
)
