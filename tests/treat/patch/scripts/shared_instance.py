"""One instance of an activation at the top of the file, used everywhere."""

import torch
from torch import nn

act = nn.Sigmoid()


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(16, 32), act, nn.Linear(32, 32), act, nn.Linear(32, 32), act,
            nn.Linear(32, 32), act, nn.Linear(32, 32), act, nn.Linear(32, 32), act,
            nn.Linear(32, 32), act, nn.Linear(32, 32), act, nn.Linear(32, 2),
        )

    def forward(self, x):
        return self.net(x)


def batch():
    inputs = torch.randn(64, 16)
    return inputs, (inputs[:, 0] > 0).long()
