"""
Find the approval stamp on a scanned page (one box per page).

Backbone is the usual conv stack, head is the single-anchor version of a YOLO head.
Pages are thumbnails (48 px); the annotation tool exports cx, cy, w, h in pixels.
"""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    size: int = 48
    pages: int = 1024
    batch: int = 32
    width: int = 16
    lr: float = 1e-3


cfg = Config()


def scan_page(rng, size):
    page = np.zeros((size, size), dtype=np.float32)
    # "text": dashes on every fourth row
    for row in range(2, size - 2, 4):
        col = 3
        while col < size - 6:
            n = rng.integers(2, 6)
            if rng.random() < 0.8:
                page[row, col : col + n] = 0.6
            col += n + 1
    w, h = rng.integers(9, 22, 2)
    x0, y0 = rng.integers(0, size - w), rng.integers(0, size - h)
    page[y0 : y0 + h, x0 : x0 + w] = np.maximum(page[y0 : y0 + h, x0 : x0 + w], 0.35)
    page[y0 : y0 + h, [x0, x0 + w - 1]] = 1.0
    page[[y0, y0 + h - 1], x0 : x0 + w] = 1.0
    page += rng.normal(0, 0.05, page.shape).astype(np.float32)
    return page, (x0 + w / 2, y0 + h / 2, w, h)


def make_pages(n, seed):
    rng = np.random.default_rng(seed)
    pages, boxes = zip(*(scan_page(rng, cfg.size) for _ in range(n)))
    return torch.tensor(np.stack(pages))[:, None], torch.tensor(boxes, dtype=torch.float32)


PAGES, BOXES = make_pages(cfg.pages, seed=11)


def conv(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(o),
        nn.LeakyReLU(0.1),
    )


class StampDetector(nn.Module):
    def __init__(self, w=cfg.width):
        super().__init__()
        self.backbone = nn.Sequential(conv(1, w), conv(w, 2 * w), conv(2 * w, 2 * w))
        self.neck = nn.Linear(2 * w * 36, 96)
        self.box = nn.Linear(96, 4)

    def forward(self, page):
        f = self.backbone(page).flatten(1)
        f = F.leaky_relu(self.neck(f), 0.1)
        return self.box(f).sigmoid()


def model():
    return StampDetector()


def data():
    for idx in torch.randperm(len(PAGES)).split(cfg.batch):
        yield PAGES[idx], BOXES[idx]


def loss(pred, box):
    return F.smooth_l1_loss(pred, box)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=cfg.lr)
