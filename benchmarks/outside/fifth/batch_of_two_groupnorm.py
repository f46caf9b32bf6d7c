import torch
from sklearn.datasets import load_digits
from torch import nn

ds = load_digits(n_class=4)
X = torch.tensor(ds.images, dtype=torch.float32).unsqueeze(1) / 16
Y = torch.tensor(ds.target)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, padding=1)
        self.g1 = nn.GroupNorm(2, 8)
        self.c2 = nn.Conv2d(8, 16, 3, padding=1, stride=2)
        self.g2 = nn.GroupNorm(4, 16)
        self.fc = nn.Linear(256, 4)

    def forward(self, x):
        x = torch.relu(self.g1(self.c1(x)))
        x = torch.relu(self.g2(self.c2(x)))
        return self.fc(x.flatten(1))


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(X), (2,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=5e-3)
