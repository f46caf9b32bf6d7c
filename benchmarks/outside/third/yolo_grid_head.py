import math

import torch
import torch.nn.functional as F
from torch import nn

GRID, S = 4, 32


class TinyYolo(nn.Module):
    def __init__(self):
        super().__init__()
        chans = [1, 12, 24, 32]
        self.features = nn.Sequential(*[
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.1))
            for a, b in zip(chans, chans[1:])
        ])
        self.head = nn.Conv2d(32, 5, 1)
        nn.init.constant_(self.head.bias[0:1].data, -math.log(15))

    def forward(self, x):
        o = self.head(self.features(x))
        return o[:, 0], torch.sigmoid(o[:, 1:3]), o[:, 3:5]


def loss(output, target):
    obj, xy, wh = output
    t_obj, t_xy, t_wh = target
    on = t_obj > 0
    l_obj = F.binary_cross_entropy_with_logits(obj, t_obj)
    l_xy = F.mse_loss(xy.permute(0, 2, 3, 1)[on], t_xy)
    l_wh = F.mse_loss(wh.permute(0, 2, 3, 1)[on], t_wh)
    return l_obj + 5 * l_xy + l_wh


def batch(n=32):
    x = 0.1 * torch.rand(n, 1, S, S)
    obj, t_xy, t_wh = torch.zeros(n, GRID, GRID), [], []
    for k in range(n):
        w, h = torch.randint(4, 14, (2,)).tolist()
        left, top = torch.randint(0, S - w, (1,)).item(), torch.randint(0, S - h, (1,)).item()
        x[k, 0, top : top + h, left : left + w] = 1.0
        cx, cy = (left + w / 2) / 8, (top + h / 2) / 8
        obj[k, int(cy), int(cx)] = 1
        t_xy.append([cx % 1, cy % 1])
        t_wh.append([math.log(w / 8), math.log(h / 8)])
    return x, (obj, torch.tensor(t_xy), torch.tensor(t_wh))


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
