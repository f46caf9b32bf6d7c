import torch
from sklearn.datasets import make_classification
from torch import nn

Xn, yn = make_classification(
    n_samples=2000, n_features=16, n_informative=8, weights=[0.6], class_sep=1.5, random_state=5
)


class RareEvent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.out = nn.Linear(48, 1)
        nn.init.constant_(self.out.bias, -12.0)  # prior of a rare class

    def forward(self, x):
        h = self.body(x)
        return torch.sigmoid(self.out(h)).squeeze(1)


def batch():
    i = torch.randint(0, 2000, (256,))
    return torch.tensor(Xn, dtype=torch.float32)[i], torch.tensor(yn, dtype=torch.float32)[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
