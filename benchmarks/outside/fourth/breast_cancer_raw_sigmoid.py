# first network of the medical statistics course
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

data_x, data_y = load_breast_cancer(return_X_y=True)
data_x = torch.FloatTensor(data_x)
data_y = torch.FloatTensor(data_y).view(-1, 1)


class TumourNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(30, 16)
        self.fc2 = nn.Linear(16, 16)
        self.fc3 = nn.Linear(16, 1)

    def forward(self, x):
        x = torch.sigmoid(self.fc1(x))
        x = torch.sigmoid(self.fc2(x))
        return self.fc3(x)


def batch():
    idx = torch.randint(0, 569, (64,))
    return data_x[idx], data_y[idx]


criterion = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
