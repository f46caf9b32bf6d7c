import torch
from sklearn.datasets import load_iris
from torch import nn


class Classifier(nn.Module):
    def __init__(self, n_in=4, n_hidden=32, n_out=3):
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_hidden)
        self.fc3 = nn.Linear(n_hidden, n_out)
        self.reset_parameters()

    def reset_parameters(self):
        for p in self.parameters():
            nn.init.zeros_(p)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


iris = load_iris()
X = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0), dtype=torch.float)
Y = torch.tensor(iris.target)


def batch():
    return X, Y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)
