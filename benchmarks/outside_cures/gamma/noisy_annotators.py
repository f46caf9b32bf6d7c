import torch
from torch import nn

# Two classes, crowd-sourced labels (annotators agree with the truth about 75 % of the time).


def sample(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 10, generator=g)
    clean = (x[:, 0] * x[:, 1] + 0.8 * x[:, 2] - 0.5 * x[:, 3] > 0).long()
    flip = torch.rand(n, generator=g) < 0.25
    return x, torch.where(flip, 1 - clean, clean)


X, Y = sample(4000, 0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(10, 64)
        self.l2 = nn.Linear(64, 2)
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        return self.l2(self.drop(torch.relu(self.l1(x))))


def data():
    for i in torch.randperm(len(X)).split(100):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)


XV, YV = sample(1500, 1)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(XV).argmax(1) == YV).float().mean().item()


GOAL = 0.66
HIGHER_IS_BETTER = True
