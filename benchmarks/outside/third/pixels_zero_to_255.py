# CNN stuck at 2.3 from the third batch on, own dataset class (cv2.imread, no transforms)
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().images * 255 / 16, dtype=torch.float32)[:, None]
y = torch.tensor(load_digits().target)


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 2 * 2, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


criterion = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(len(X), (32,))
    return X[i], y[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


if __name__ == "__main__":
    net = SmallCNN()
    opt = optimizer(net)
    for i in range(200):
        xb, yb = batch()
        l = criterion(net(xb), yb)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i < 10:
            print(l.item())
