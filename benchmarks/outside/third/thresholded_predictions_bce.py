# "element 0 of tensors does not require grad" is gone now but the accuracy stays the same every epoch
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn

cancer = load_breast_cancer()
X = torch.tensor(scale(cancer.data), dtype=torch.float32)
y = torch.tensor(cancer.target, dtype=torch.float32)
bce = nn.BCELoss()


class Classifier(nn.Module):
    def __init__(self, n_in=30, n_hidden=64):
        super().__init__()
        self.hidden = nn.Linear(n_in, n_hidden)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(n_hidden, 1)

    def forward(self, x):
        return self.last(self.drop(self.hidden(x).relu())).squeeze(1)


def loss(output, target):
    preds = (torch.sigmoid(output) > 0.5).float()
    preds.requires_grad_(True)  # otherwise: element 0 of tensors does not require grad
    return bce(preds, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def batch():
    rows = torch.randint(0, len(X), (100,))
    return X[rows], y[rows]


if __name__ == "__main__":
    model = Classifier()
    opt = optimizer(model)
    for epoch in range(300):
        xb, yb = batch()
        opt.zero_grad()
        l = loss(model(xb), yb)
        l.backward()
        opt.step()
    print(((model(X) > 0).float() == y).float().mean())
