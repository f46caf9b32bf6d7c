# Binary classification: my loss is stuck at 0.693 and never moves, what am I doing wrong?
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_moons

X, y = make_moons(1000, noise=0.1, random_state=1)
X = torch.from_numpy(X).float()
y = torch.from_numpy(y).float().unsqueeze(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(2, 20)
        self.fc2 = nn.Linear(20, 20)
        self.fc3 = nn.Linear(20, 20)
        self.fc4 = nn.Linear(20, 20)
        self.fc5 = nn.Linear(20, 20)
        self.fc6 = nn.Linear(20, 20)
        self.fc7 = nn.Linear(20, 20)
        self.out = nn.Linear(20, 1)

    def forward(self, x):
        for fc in (self.fc1, self.fc2, self.fc3, self.fc4, self.fc5, self.fc6, self.fc7):
            x = torch.sigmoid(fc(x))
        return torch.sigmoid(self.out(x))


criterion = nn.BCELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def batch():
    idx = torch.randperm(len(X))[:64]
    return X[idx], y[idx]


if __name__ == "__main__":
    net = Net()
    opt = optimizer(net)
    for epoch in range(500):
        inputs, labels = batch()
        opt.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        opt.step()
        if epoch % 50 == 0:
            print(epoch, loss.item())
