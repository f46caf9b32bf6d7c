import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

bunch = load_breast_cancer()
X = torch.from_numpy(StandardScaler().fit_transform(bunch.data)).float()
Y = torch.from_numpy(bunch.target).float().view(-1, 1)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(30, 20)
        self.l2 = nn.Linear(20, 10)
        self.l3 = nn.Linear(10, 1)
        self.relu = nn.ReLU()
        self.act = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.relu(self.l1(x))
        x = self.relu(self.l2(x))
        return self.act(self.l3(x))


loss = nn.BCELoss()


def batch(size=32):
    pick = torch.randint(0, X.shape[0], (size,))
    return X[pick], Y[pick]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
