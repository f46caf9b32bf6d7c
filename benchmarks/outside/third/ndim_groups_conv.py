"""nanoGPT-style parameter groups (decay for matrices, none for vectors) copied onto a conv net."""
import torch
from sklearn.datasets import load_digits
from torch import nn

_d = load_digits()
X = torch.tensor(_d.images / 8 - 0.6, dtype=torch.float32)[:, None]
Y = torch.tensor(_d.target)


class SmallConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
        self.classifier = nn.Linear(16, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


def batch(n=128):
    i = torch.randint(0, len(X), (n,))
    return X[i], Y[i]


def configure_optimizers(model, lr=3e-3, weight_decay=0.05):
    decay = [p for p in model.parameters() if p.dim() == 2]
    no_decay = [p for p in model.parameters() if p.dim() == 1]
    return torch.optim.AdamW(
        [{"params": decay, "weight_decay": weight_decay}, {"params": no_decay, "weight_decay": 0.0}], lr=lr
    )


optimizer = configure_optimizers


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()


if __name__ == "__main__":
    model = SmallConv()
    opt = configure_optimizers(model)
    for i in range(400):
        x, y = batch()
        opt.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
    print(metric(model))
