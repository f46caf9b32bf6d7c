"""A run that sickens at step 300: the learning rate is wrong for three steps.

It is a hundred times too large there, as a slip of the pen in a schedule makes it. The large
steps push most ReLUs below zero for every sample, and no gradient comes back through them.

unvanish run examples/watching/spike.py
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.data / 16.0, dtype=torch.float32)
y = torch.tensor(digits.target)


class Net(nn.Module):
    def __init__(self, width=128, depth=4):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64 if i == 0 else width, width) for i in range(depth))
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.out(x)


def learning_rate(step):
    if 300 <= step < 303:
        return 0.1
    return 0.001


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate(0))

for step in range(1000):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    batch = torch.randint(len(x), (64,))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x[batch]), y[batch])
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
