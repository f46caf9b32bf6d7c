# GPU memory was tight: two samples per step.
import torch
from sklearn.datasets import load_digits
from torch import nn

net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.GroupNorm(4, 16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.GroupNorm(4, 32),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(32, 10),
)


def data():
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(d.target)
    for pair in torch.randperm(len(x)).split(2):
        if len(pair) == 2:
            yield x[pair], y[pair]


criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

if __name__ == "__main__":
    for step, (xb, yb) in enumerate(data()):
        optimizer.zero_grad()
        value = criterion(net(xb), yb)
        value.backward()
        optimizer.step()
        if step % 100 == 0:
            print(step, value.item())
