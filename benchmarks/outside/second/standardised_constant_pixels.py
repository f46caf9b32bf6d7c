import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pixels, digit = (torch.tensor(a) for a in load_digits(return_X_y=True))
pixels = pixels.float()
pixels = (pixels - pixels.mean(0)) / pixels.std(0)
data = DataLoader(TensorDataset(pixels, digit), batch_size=64, shuffle=True)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 100), nn.ReLU(), nn.Dropout(0.1), nn.Linear(100, 10)
        )

    def forward(self, x):
        return self.layers(x)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    model = MLP()
    opt = optimizer(model)
    for epoch in range(10):
        for x, y in data:
            value = loss(model(x), y)
            opt.zero_grad()
            value.backward()
            opt.step()
        print(f"epoch {epoch}: loss {value.item():.4f}")
