# CNN loss goes 2.3 -> 100 -> 2.30 and stays there (lr is 0.1 like in the SGD paper)
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
y = torch.tensor(load_digits().target)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


criterion = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.1)


if __name__ == "__main__":
    model = ConvNet()
    opt = optimizer(model)
    for i in range(200):
        xb, yb = batch()
        l = criterion(model(xb), yb)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i % 20 == 0:
            print(l.item())
