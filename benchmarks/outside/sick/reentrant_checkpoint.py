import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.checkpoint import checkpoint


class CheckpointedNet(nn.Module):
    def __init__(self, use_checkpoint=True):
        super().__init__()
        self.use_checkpoint = use_checkpoint
        self.trunk = nn.Sequential(
            nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 5)
        )
        self.classifier = nn.Linear(5, 10)

    def forward(self, x):
        if self.use_checkpoint and self.training:
            x = checkpoint(self.trunk, x, use_reentrant=True)
        else:
            x = self.trunk(x)
        return self.classifier(torch.relu(x))


X, Y = (torch.tensor(a) for a in load_digits(return_X_y=True))
X = X.float() / 16
data = [(X[i : i + 128], Y[i : i + 128]) for i in range(0, 1664, 128)]
loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
