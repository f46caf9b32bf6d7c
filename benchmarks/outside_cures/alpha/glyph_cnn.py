import torch
import torch.nn as nn
from sklearn.datasets import load_digits

raw = load_digits()
images = torch.tensor(raw.images, dtype=torch.float32)[:, None] / 16
target = torch.tensor(raw.target, dtype=torch.long)
split = torch.randperm(len(images), generator=torch.Generator().manual_seed(5))
tr, va, te = split[:1200], split[1200:1500], split[1500:]


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, kernel_size=3, padding=1), nn.ReLU(inplace=True))


class GlyphCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv(1, 16)
        self.mid = nn.Sequential(conv(16, 24), nn.MaxPool2d(2), conv(24, 32), nn.MaxPool2d(2))
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        return self.fc(self.mid(self.stem(x)))


def model():
    return GlyphCNN()


def data():
    order = tr[torch.randperm(len(tr))]
    for b in order.split(48):
        yield images[b], target[b]


def loss(logits, y):
    return nn.functional.cross_entropy(logits, y, label_smoothing=0.05)


def optimizer(model):
    # rate scaled with the batch size of the paper we follow
    return torch.optim.Adam(model.parameters(), lr=0.1)


def metric(model):
    model.eval()
    with torch.no_grad():
        value = (model(images[va]).argmax(1) == target[va]).float().mean().item()
    model.train()
    return value
