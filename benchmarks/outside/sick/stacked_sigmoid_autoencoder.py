import torch
from sklearn.datasets import load_digits
from torch import nn


class DeepAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        dims = [64, 128, 96, 64, 32, 16, 32, 64, 96, 128, 64]
        layers = []
        for a, b in zip(dims, dims[1:]):
            layers += [nn.Linear(a, b), nn.Sigmoid()]
        self.encoder = nn.Sequential(*layers[:10])
        self.decoder = nn.Sequential(*layers[10:])

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        return self.decoder(self.encode(x))


X = torch.from_numpy(load_digits().data).float().div(16)


def batch():
    idx = torch.randint(len(X), (128,))
    return X[idx], X[idx]


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    ae = DeepAutoencoder()
    opt = optimizer(ae)
    for it in range(3000):
        x, t = batch()
        loss = criterion(ae(x), t)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if it % 200 == 0:
            print(f"[{it:5d}] recon = {loss.item():.5f}")
