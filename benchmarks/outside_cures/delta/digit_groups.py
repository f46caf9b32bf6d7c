"""Postal digits, small conv net with GroupNorm instead of BatchNorm (batches get small at the customer's)."""
import torch
from torch import nn
from sklearn.datasets import load_digits

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(digits.target)
order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
tr, va, te = order[:1200], order[1200:1450], order[1450:]


def conv_block(cin, cout, k=3, stride=1, groups=8):
    return nn.Sequential(
        nn.Conv2d(cin, cout, k, stride, padding=k // 2, bias=False),
        nn.GroupNorm(groups, cout),
        nn.ReLU(inplace=True),
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_block(1, 16)
        self.stage = conv_block(16, 32, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.neck = conv_block(32, 32, k=1, groups=32)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.stage(self.stem(x))
        x = self.neck(self.pool(x))
        return self.head(x.flatten(1))


model = Net


def data():
    for idx in tr[torch.randperm(len(tr))].split(48):
        yield images[idx], labels[idx]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3)


def accuracy(model, idx):
    model.eval()
    with torch.no_grad():
        right = model(images[idx]).argmax(1) == labels[idx]
    model.train()
    return right.float().mean().item()


metric = lambda model: accuracy(model, va)
GOAL = 0.85
HIGHER_IS_BETTER = True
