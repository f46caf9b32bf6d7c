import torch
from sklearn.datasets import load_digits
from torch import nn


class AE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
        self.decoder = nn.Linear(4, 64)

    def forward(self, x):
        return self.decoder(self.encoder(x))


model = AE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
model.decoder = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64))


loss = nn.MSELoss()
X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
batch = (X, X)

if __name__ == "__main__":
    for epoch in range(100):
        out = model(X)
        value = loss(out, X)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
