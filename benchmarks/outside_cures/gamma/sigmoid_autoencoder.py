# Deep autoencoder as in Hinton & Salakhutdinov (2006), without the RBM pretraining
import torch
import torch.nn as nn
from sklearn import datasets

sizes = [64, 48, 32, 16, 8]


def stack(sizes):
    mods = []
    for i in range(len(sizes) - 1):
        mods += [nn.Linear(sizes[i], sizes[i + 1]), nn.Sigmoid()]
    return mods


def model():
    return nn.Sequential(*stack(sizes), *stack(sizes[::-1]))


X = torch.tensor(datasets.load_digits().images.reshape(-1, 64) / 16.0, dtype=torch.float32)
X_train, X_valid, X_test = X[:1200], X[1200:1500], X[1500:]


def data():
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(X_train, X_train), batch_size=64, shuffle=True
    )


loss = nn.MSELoss()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.5)


def metric(net):
    with torch.no_grad():
        return loss(net(X_valid), X_valid).item()


GOAL = 0.055
HIGHER_IS_BETTER = False
