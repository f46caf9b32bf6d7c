import torch
from torch import nn
from torch.autograd import Function
from sklearn.datasets import load_digits


class BinarizeF(Function):
    @staticmethod
    def forward(ctx, w):
        ctx.save_for_backward(w)
        return torch.where(w >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, g):
        (w,) = ctx.saved_tensors
        return g * (w.abs() <= 1)


class BinConv(nn.Conv2d):
    def forward(self, x):
        alpha = self.weight.abs().mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, BinarizeF.apply(self.weight) * alpha, self.bias)


net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.Hardtanh(),
    BinConv(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.Hardtanh(),
    BinConv(32, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.Hardtanh(),
    nn.Flatten(), nn.Linear(128, 10),
)

img = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
tgt = torch.tensor(load_digits().target)


def batch():
    k = torch.randint(0, 1797, (64,))
    return img[k], tgt[k]


loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
