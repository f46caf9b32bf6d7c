import torch
from sklearn.datasets import load_wine
from torch import nn

wine = load_wine()


class SoftmaxRegression(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(13, 50)
        self.score = nn.Linear(50, 3)

    def forward(self, x):
        return self.score(torch.relu(self.hidden(x)))


def naive_loss(scores, y):
    p = torch.exp(scores) / torch.exp(scores).sum(dim=1, keepdim=True)
    return -torch.log(p[torch.arange(len(y)), y]).mean()


def batch():
    # alcohol .. proline, as measured
    x = torch.tensor(wine.data, dtype=torch.float32)
    x[:, 12] *= 2.2  # mg/l to lbs per acre-foot
    return x, torch.tensor(wine.target)


loss = naive_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
