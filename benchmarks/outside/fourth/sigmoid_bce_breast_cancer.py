import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

X, y = load_breast_cancer(return_X_y=True)
X = torch.tensor(StandardScaler().fit_transform(X), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)


class BinaryClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_1 = nn.Linear(30, 64)
        self.layer_2 = nn.Linear(64, 64)
        self.layer_out = nn.Linear(64, 1)
        self.batchnorm1 = nn.BatchNorm1d(64)
        self.batchnorm2 = nn.BatchNorm1d(64)

    def forward(self, inputs):
        x = torch.relu(self.layer_1(inputs))
        x = self.batchnorm1(x)
        x = torch.relu(self.layer_2(x))
        x = self.batchnorm2(x)
        return torch.sigmoid(self.layer_out(x))


def batch():
    rows = torch.randint(0, len(X), (64,))
    return X[rows], y[rows]


criterion = nn.BCELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
