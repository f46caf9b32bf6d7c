# Siamese net for "is it the same digit?", codes should be compact bit strings.
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

BITS = 24
digits = load_digits()
pixels = torch.tensor(digits.images / 16.0, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))
train_ids, test_ids = shuffled[:1300], shuffled[1300:]


def make_pairs(ids, count, seed):
    """Half of the pairs show the same digit, half do not."""
    g = torch.Generator().manual_seed(seed)
    left = ids[torch.randint(len(ids), (count,), generator=g)]
    right = ids[torch.randint(len(ids), (count,), generator=g)]
    for k in range(0, count, 2):
        same = ids[labels[ids] == labels[left[k]]]
        right[k] = same[torch.randint(len(same), (1,), generator=g)]
    return left, right, (labels[left] == labels[right]).float()


LEFT, RIGHT, SAME = make_pairs(train_ids, 2400, seed=11)
V_LEFT, V_RIGHT, V_SAME = make_pairs(test_ids[:250], 400, seed=12)


class HashNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 4, BITS)
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.offset = nn.Parameter(torch.tensor(0.0))

    def code(self, image):
        h = F.max_pool2d(F.relu(self.conv1(image)), 2)
        h = F.max_pool2d(F.relu(self.conv2(h)), 2)
        return torch.sign(self.fc(h.flatten(1)))

    def forward(self, a, b):
        agreement = (self.code(a) * self.code(b)).mean(dim=1) * BITS
        return self.scale * agreement + self.offset


def model():
    return HashNet()


def data():
    for idx in torch.randperm(len(LEFT)).split(60):
        yield (pixels[LEFT[idx]], pixels[RIGHT[idx]]), SAME[idx]


def loss(score, same):
    return F.binary_cross_entropy_with_logits(score, same)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model):
    model.eval()
    with torch.no_grad():
        guess = model(pixels[V_LEFT], pixels[V_RIGHT]) > 0
    model.train()
    return (guess == (V_SAME > 0.5)).float().mean().item()


GOAL = 0.78
HIGHER_IS_BETTER = True
