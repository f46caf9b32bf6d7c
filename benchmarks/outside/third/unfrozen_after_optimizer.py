# Gradual unfreezing: p.requires_grad is True and p.grad is not None, yet the backbone does not change
import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

wine = load_wine()
X = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
y = torch.tensor(wine.target)

torch.manual_seed(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(13, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2), nn.ReLU()
        )
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.backbone(x))


model = Net()
for p in model.backbone.parameters():
    p.requires_grad = False
optimizer = torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2)
for p in model.backbone.parameters():  # stage two
    p.requires_grad = True

loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(len(X), (32,))
    return X[i], y[i]


if __name__ == "__main__":
    for step in range(400):
        xb, yb = batch()
        optimizer.zero_grad()
        loss(model(xb), yb).backward()
        optimizer.step()
    print((model(X).argmax(1) == y).float().mean())
