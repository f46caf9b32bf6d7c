# Decoder output must be in [0, 1] so I clamp it. Result: most pixels stay black forever
import torch
from sklearn.datasets import load_digits
from torch import nn

d = load_digits()
pixels = torch.tensor(d.data / 16, dtype=torch.float32)
labels = torch.eye(10)[torch.tensor(d.target)]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(10, 64)
        self.mid = nn.Linear(64, 64)
        self.last = nn.Linear(64, 64)

    def forward(self, z):
        z = torch.relu(self.first(z))
        z = torch.relu(self.mid(z))
        return torch.clamp(self.last(z), 0.0, 1.0)


def make_decoder():
    net = Decoder()
    nn.init.constant_(net.last.bias, -0.5)  # images are mostly black
    return net


loss = nn.functional.mse_loss


def batch():
    i = torch.randint(len(pixels), (64,))
    return labels[i], pixels[i]


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = make_decoder()
    opt = optimizer(net)
    for i in range(500):
        z, x = batch()
        opt.zero_grad()
        loss(net(z), x).backward()
        opt.step()
    print("pixels that are never lit:", (net(labels) == 0).all(0).sum().item(), "of 64")
