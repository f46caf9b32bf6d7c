# How do I backprop through argmax? The encoder gradients are None but there is no error message.
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

images = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)


class DiscreteAE(nn.Module):
    def __init__(self, codes=4, k=8):
        super().__init__()
        self.codes, self.k = codes, k
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, codes * k))
        self.decoder = nn.Sequential(nn.Linear(codes * k, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid())

    def forward(self, x):
        logits = self.encoder(x).view(-1, self.codes, self.k)
        z = F.one_hot(logits.argmax(-1), self.k).float()
        return self.decoder(z.flatten(1))


loss = nn.MSELoss()


def batch():
    x = images[torch.randint(len(images), (128,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


if __name__ == "__main__":
    ae = DiscreteAE()
    opt = optimizer(ae)
    for i in range(500):
        x, _ = batch()
        opt.zero_grad()
        loss(ae(x), x).backward()
        opt.step()
    for name, p in ae.named_parameters():
        print(name, None if p.grad is None else p.grad.norm())
