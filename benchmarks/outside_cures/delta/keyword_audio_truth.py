import torch
from torch import nn

import keyword_audio as user

STEPS = 400
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "input scale: int16 samples of up to 32767 go raw into an un-normalised conv net; the first SGD steps are thousands of times too large"


def metric(model):
    model.eval()
    x = torch.stack([user.test[i][0] for i in range(len(user.test))])
    with torch.no_grad():
        acc = (model(x).argmax(-1) == user.test.y).float().mean().item()
    model.train()
    return acc


class Scaled(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.norm = nn.BatchNorm1d(1)
        self.net = net

    def forward(self, x):
        return self.net(self.norm(x))


def cured():
    net = Scaled(user.model())
    return net, torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9), user.loss_fn


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.85 -- as it is: 0.23, 0.23, 0.23; cured: 1, 1, 1; longest run 2.6 s on one core'
)
