# training script with gradient accumulation: 8 x 8 samples per step, warm-up for 20 steps
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

ACCUM = 8
digits = load_digits()
dataset = TensorDataset(
    torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
)
data = DataLoader(dataset, batch_size=8, shuffle=True)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.ln = nn.LayerNorm(128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        return self.fc2(nn.functional.mish(self.ln(self.fc1(x))))


def loss(output, target):
    return nn.functional.cross_entropy(output, target) / ACCUM


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-4)


def train(epochs=10):
    model = Classifier()
    opt = optimizer(model)
    warm = torch.optim.lr_scheduler.LinearLR(opt, 0.1, 1.0, total_iters=20)
    for epoch in range(epochs):
        for i, (x, y) in enumerate(data):
            value = loss(model(x), y)
            value.backward()
            if (i + 1) % ACCUM == 0:
                opt.step()
                opt.zero_grad()
                warm.step()
        print(epoch, ACCUM * value.item())


if __name__ == "__main__":
    train()
