# Q-values of a queue controller from a batch of logged states (fitted, supervised targets)
import torch
import torch.nn as nn
import torch.nn.functional as F

ACTIONS = 3


def logged(n, seed):
    g = torch.Generator().manual_seed(seed)
    s = torch.rand(n, 5, generator=g)
    base = -6 * s[:, :1] - 4 * s[:, 1:2] * s[:, 2:3]
    q = base + torch.stack([3 * s[:, 3], 5 * s[:, 4] * s[:, 0], 2 * torch.sin(3 * s[:, 1])], 1)
    return s, q


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 64)
        self.fc2 = nn.Linear(64, 64)
        self.head = nn.Linear(64, ACTIONS)
        self.norm = nn.LayerNorm(ACTIONS, elementwise_affine=False)

    def forward(self, s):
        h = F.elu(self.fc1(s))
        h = F.elu(self.fc2(h))
        return torch.sigmoid(self.norm(self.head(h)))


def model():
    return QNet()


states, q_values = logged(2500, 0)


def data(seed=0):
    p = torch.randperm(2500, generator=torch.Generator().manual_seed(seed))
    for i in p.split(100):
        yield states[i], q_values[i]


loss = F.smooth_l1_loss


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=1e-3)


HIGHER_IS_BETTER = False


def metric(model):
    """Mean absolute error."""
    s, q = logged(400, 1)
    with torch.no_grad():
        return (model(s) - q).abs().mean().item()
