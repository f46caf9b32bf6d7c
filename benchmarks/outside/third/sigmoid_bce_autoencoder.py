"""Denoising autoencoder with sigmoid hidden units and sigmoid outputs under BCELoss: old, shallow, sound."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

images = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)


def corrupt(rows):
    x = torch.stack(rows)
    return x * (torch.rand_like(x) > 0.2), x


data = DataLoader(list(images), batch_size=50, shuffle=True, collate_fn=corrupt)


class DAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(64, 80)
        self.decode = nn.Linear(80, 64)

    def forward(self, x):
        return torch.sigmoid(self.decode(torch.sigmoid(self.encode(x))))


criterion = nn.BCELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


if __name__ == "__main__":
    model = DAE()
    opt = optimizer(model)
    for epoch in range(15):
        for noisy, clean in data:
            l = criterion(model(noisy), clean)
            opt.zero_grad()
            l.backward()
            opt.step()
        print(epoch, l.item())
