import copy

import torch
from sklearn.datasets import load_wine
from torch import nn

prototype = nn.Sequential(
    nn.BatchNorm1d(13), nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)
)
net = copy.deepcopy(prototype)  # one per fold
optimizer = torch.optim.Adam(prototype.parameters(), lr=1e-3)

x, y = load_wine(return_X_y=True)
batch = (torch.tensor(x, dtype=torch.float32), torch.tensor(y))
loss = nn.CrossEntropyLoss()
