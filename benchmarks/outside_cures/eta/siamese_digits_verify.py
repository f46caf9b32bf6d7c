# Homework 4: "same digit or not?"  Siamese network with the contrastive loss (Hadsell et al. 2006)
# author: group 7

import torch
import torch.nn as nn
from sklearn.datasets import load_digits

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
labels = torch.tensor(digits.target)

train_idx = torch.arange(0, 1200)
test_idx = torch.arange(1200, len(labels))

by_class = [[i for i in train_idx.tolist() if labels[i] == c] for c in range(10)]


def sample_pairs(n):
    """half of the pairs are the same digit, half are random ones"""
    first, second, same = [], [], []
    for k in range(n):
        i = train_idx[torch.randint(len(train_idx), (1,))].item()
        if k % 2 == 0:
            pool = by_class[labels[i]]
            j = pool[torch.randint(len(pool), (1,)).item()]
        else:
            j = train_idx[torch.randint(len(train_idx), (1,))].item()
        first.append(i)
        second.append(j)
        same.append(float(labels[i] == labels[j]))
    return images[first], images[second], torch.tensor(same)


class SiameseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32 * 2 * 2, 16)

    def embed(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        return self.fc(x.flatten(1))

    def forward(self, a, b):
        diff = self.embed(a) - self.embed(b)
        return diff.pow(2).sum(1).sqrt()  # euclidean distance


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, dist, same):
        pull = same * dist ** 2
        push = (1 - same) * torch.clamp(self.margin - dist, min=0) ** 2
        return (pull + push).mean()


def model():
    return SiameseNet()


def data():
    for _ in range(40):
        a, b, same = sample_pairs(64)
        yield (a, b), same


loss = ContrastiveLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
