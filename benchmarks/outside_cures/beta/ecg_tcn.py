# Temporal convolutions: is the larger of the two bumps the earlier or the later one?
import torch
from torch import nn

N_STEPS = 64


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(N_STEPS).float()
    at = torch.stack([torch.randint(6, 24, (n,), generator=g), torch.randint(38, 58, (n,), generator=g)], 1)
    size = 0.5 + torch.rand(n, 2, generator=g)
    size[:, 1] += torch.where(size[:, 1] > size[:, 0], 0.25, -0.25)
    bumps = size.unsqueeze(-1) * torch.exp(-((t - at.unsqueeze(-1)) ** 2) / 6)
    x = bumps.sum(1) + 0.05 * torch.randn(n, N_STEPS, generator=g)
    return x.unsqueeze(1), (size[:, 1] > size[:, 0]).long()


def conv_block(c_in, c_out, dilation):
    conv = nn.Conv1d(c_in, c_out, kernel_size=3, padding=dilation, dilation=dilation)
    nn.init.normal_(conv.weight, 0, 0.01)
    return nn.Sequential(conv, nn.ReLU())


class TCN(nn.Module):
    def __init__(self, channels=16, levels=8):
        super().__init__()
        blocks = []
        for i in range(levels):
            blocks.append(conv_block(1 if i == 0 else channels, channels, 2 ** (i % 5)))
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels * 4, 2)

    def forward(self, x):
        h = nn.functional.adaptive_avg_pool1d(self.blocks(x), 4)
        return self.fc(h.flatten(1))


def model():
    return TCN()


signals, labels = make(1500, 0)


def data(seed=0):
    for i in torch.randperm(1500, generator=torch.Generator().manual_seed(seed)).split(50):
        yield signals[i], labels[i]


loss = nn.functional.cross_entropy


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def metric(model):
    x, y = make(300, 5)
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


HIGHER_IS_BETTER = True
