import torch
from sklearn.datasets import make_classification
from torch import nn

torch.manual_seed(42)
X, y = make_classification(600, 15, n_informative=8, class_sep=2.0, random_state=0)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(nn.Linear(15, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 2))
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)


def optimizer(net):
    return torch.optim.AdamW(net.parameters(), lr=1e-3)


def batch():
    return X, y


def loss(out, target):
    return criterion(out, target)


_opt = optimizer(model)
for _ in range(150):
    _opt.zero_grad()
    loss(model(X), y).backward()
    _opt.step()
