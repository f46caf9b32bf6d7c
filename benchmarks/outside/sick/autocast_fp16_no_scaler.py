import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

AUTOCAST = "float16"
ACCUMULATE = 4096
CLIP_GRAD_NORM = None


class Net(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.fc1 = nn.Linear(64, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, width)
        self.fc4 = nn.Linear(width, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = F.relu(self.fc3(x))
        return self.fc4(x)


images, labels = load_digits(return_X_y=True)
images = torch.tensor(images / 16, dtype=torch.float32)
labels = torch.tensor(labels)


def batch(n=256):
    i = torch.randint(0, len(images), (n,))
    return images[i], labels[i]


def loss(logits, y):
    # averaged over the micro-batches of one optimiser step
    return F.cross_entropy(logits, y) / ACCUMULATE / 64


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-15)
