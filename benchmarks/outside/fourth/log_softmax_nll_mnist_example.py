"""The classic example: log_softmax at the end, nll_loss outside."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

d = load_digits()
images = torch.tensor(d.images / 16.0, dtype=torch.float32).unsqueeze(1)
images = (images - 0.305) / 0.376
labels = torch.tensor(d.target)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 1)
        self.conv2 = nn.Conv2d(16, 32, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(128, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout2(x)
        return F.log_softmax(self.fc2(x), dim=1)


def batch():
    i = torch.randint(len(images), (64,))
    return images[i], labels[i]


loss = F.nll_loss


def optimizer(model):
    return torch.optim.Adadelta(model.parameters(), lr=1.0)
