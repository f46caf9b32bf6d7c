# textbook network: one hidden sigmoid layer
import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

wine = load_wine()
X = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
y = torch.tensor(wine.target)

net = nn.Sequential(nn.Linear(13, 20), nn.Sigmoid(), nn.Linear(20, 3))


def batch():
    return X, y


optimizer = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
