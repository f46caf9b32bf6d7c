# Focal loss: value is tiny (0.0007) from the first batch, but the classifier is bad
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn

b = load_breast_cancer()
X = torch.tensor(scale(b.data), dtype=torch.float32)
y = (torch.tensor(b.target) == 0).long()
X = X + 1.5 * torch.randn(X.shape, generator=torch.Generator().manual_seed(0))


class FocalLoss(nn.Module):
    def __init__(self, gamma=10.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, logits, target):
        logp = -nn.functional.cross_entropy(logits, target, reduction="none")
        p = logp.exp()
        return (-((1 - p) ** self.gamma) * logp).mean()


criterion = FocalLoss()


def make_net():
    return nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], y[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05)


if __name__ == "__main__":
    net = make_net()
    opt = optimizer(net)
    for i in range(400):
        xb, yb = batch()
        l = criterion(net(xb), yb)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item(), (net(X).argmax(1) == y).float().mean())
