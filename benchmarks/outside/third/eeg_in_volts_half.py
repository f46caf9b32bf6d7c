# EEG classifier works on the cluster in fp32, but at home with .half() conv1.weight.grad is exactly 0
import torch
from torch import nn

FREQ = torch.tensor([2.0, 4.0, 7.0, 11.0])


def build_eegnet():
    net = nn.Sequential(
        nn.Flatten(),
        nn.Linear(4 * 32, 64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 4),
    )
    return net.half()


def loss(logits, label):
    return nn.functional.cross_entropy(logits.float(), label)


def batch(n=64):
    label = torch.randint(0, 4, (n,))
    t = torch.arange(32) / 32
    signal = torch.sin(6.283 * FREQ[label][:, None] * t)[:, None] * torch.ones(1, 4, 1)
    signal = signal + 0.3 * torch.randn(n, 4, 32)
    return (1e-5 * signal).half(), label  # volts


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


if __name__ == "__main__":
    net = build_eegnet()
    opt = optimizer(net)
    for i in range(300):
        x, k = batch()
        l = loss(net(x), k)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item(), net[1].weight.grad.abs().max())
