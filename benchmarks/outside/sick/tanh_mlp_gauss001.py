import torch
from sklearn.datasets import make_moons
from torch import nn


def weights_init(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, mean=0.0, std=0.01)
        nn.init.zeros_(m.bias)


def model(width=50, depth=20):
    blocks = [nn.Linear(2, width), nn.Tanh()]
    for _ in range(depth - 1):
        blocks += [nn.Linear(width, width), nn.Tanh()]
    blocks.append(nn.Linear(width, 2))
    net = nn.Sequential(*blocks)
    net.apply(weights_init)
    return net


def batch():
    x, y = make_moons(n_samples=256, noise=0.1, random_state=1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


if __name__ == "__main__":
    net, (x, y) = model(), batch()
    opt = optimizer(net)
    for step in range(2000):
        loss = loss_fn(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 100 == 0:
            print(step, loss.item())
