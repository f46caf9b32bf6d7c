"""FiLM: the question (a one-hot) scales and shifts the features of the picture."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class FiLMBlock(nn.Module):
    def __init__(self, c, cond):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c, 1)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        self.bn = nn.BatchNorm2d(c, affine=False)
        self.film = nn.Linear(cond, 2 * c)

    def forward(self, x, q):
        x = torch.relu(self.conv1(x))
        gamma, beta = self.film(q)[:, :, None, None].chunk(2, 1)
        return x + torch.relu((1 + gamma) * self.bn(self.conv2(x)) + beta)


class FiLMNet(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU())
        self.b1, self.b2 = FiLMBlock(c, 10), FiLMBlock(c, 10)
        self.cls = nn.Sequential(nn.Linear(c, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, image, question):
        h = self.b2(self.b1(self.stem(image), question), question)
        return self.cls(h.amax((2, 3))).squeeze(-1)


D = load_digits()


def batch(n=64):
    """Is this picture a <question>?"""
    i = torch.randint(0, 1797, (n,))
    img = torch.tensor(D.images, dtype=torch.float32)[i, None] / 8 - 1
    y = torch.tensor(D.target)[i]
    yes = torch.rand(n) < 0.5
    asked = torch.where(yes, y, (y + torch.randint(1, 10, (n,))) % 10)
    return (img, nn.functional.one_hot(asked, 10).float()), yes.float()


loss = nn.BCEWithLogitsLoss()


def model():
    return FiLMNet()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
