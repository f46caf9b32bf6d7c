import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

pixels, _ = load_digits(return_X_y=True)
train = torch.from_numpy(pixels).float()
loader = DataLoader(train, batch_size=64, shuffle=True)


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 8)
        )
        self.decoder = nn.Sequential(
            nn.Linear(8, 24),
            nn.ReLU(),
            nn.Linear(24, 48),
            nn.ReLU(),
            nn.Linear(48, 64),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


def data():
    for x in loader:
        yield x, x


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)


if __name__ == "__main__":
    net = AutoEncoder()
    opt = optimizer(net)
    for epoch in range(30):
        for x, y in data():
            opt.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            opt.step()
        print(f"Epoch: {epoch} | loss: {loss.item():.4f}")
