# "First make sure your net can overfit one batch." It can. This is the net afterwards.
import torch
from sklearn.datasets import load_digits
from torch import nn

d = load_digits()
X = torch.tensor(d.data[:32] / 16, dtype=torch.float32)
y = torch.tensor(d.target[:32])
batch = (X, y)
criterion = nn.CrossEntropyLoss()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


def overfitted(steps=300):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    opt = optimizer(net)
    for _ in range(steps):
        opt.zero_grad()
        criterion(net(X), y).backward()
        opt.step()
    return net
