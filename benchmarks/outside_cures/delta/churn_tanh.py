# Churn model for a telco customer. 20 standardised features from the CRM export.
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

gen = torch.Generator().manual_seed(11)
N = 4000
X = torch.randn(N, 20, generator=gen)
score = 1.5 * X[:, 0] - X[:, 1] + X[:, 2] * X[:, 3] + 0.8 * torch.relu(X[:, 4]) - 0.3
y = (score + 0.2 * torch.randn(N, generator=gen) > 0).long()

train_ds = TensorDataset(X[:3000], y[:3000])


def weights_init(m):
    # standard normal init
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight)
        nn.init.zeros_(m.bias)


class ChurnNet(nn.Module):
    def __init__(self, n_features=20, hidden=128, n_layers=6):
        super().__init__()
        layers = [nn.Linear(n_features, hidden), nn.Tanh()]
        for _ in range(n_layers - 1):
            layers += [nn.Linear(hidden, hidden), nn.Tanh()]
        layers += [nn.Linear(hidden, 2)]
        self.net = nn.Sequential(*layers)
        self.net.apply(weights_init)

    def forward(self, x):
        return self.net(x)


def model():
    return ChurnNet()


data = DataLoader(train_ds, batch_size=64, shuffle=True)
criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
