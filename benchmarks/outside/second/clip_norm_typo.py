import torch
import torch.nn as nn
from sklearn.datasets import load_digits

digits = load_digits()
X = torch.as_tensor(digits.images, dtype=torch.float32)[:, None] / 16 - 0.3
Y = torch.as_tensor(digits.target)

CLIP_GRAD_NORM = 1e-7


class ConvClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.GroupNorm(4, 16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.GroupNorm(4, 32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )

    def forward(self, x):
        return self.net(x)


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def train(steps=1000):
    model = ConvClassifier()
    opt = optimizer(model)
    for _ in range(steps):
        x, y = batch()
        opt.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_GRAD_NORM)
        opt.step()


if __name__ == "__main__":
    train()
