import torch
from transformers import ViTConfig, ViTForImageClassification


def make_vit():
    return ViTForImageClassification(
        ViTConfig(image_size=16, patch_size=4, num_channels=1, hidden_size=48, num_hidden_layers=3,
                  num_attention_heads=4, intermediate_size=96, num_labels=3)
    )


def batch(n=32):
    """Bright bar: horizontal, vertical or diagonal."""
    y = torch.randint(3, (n,))
    g = torch.arange(16.0)
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    c = 4 + 8 * torch.rand(n, 1, 1)
    d = torch.stack([yy - c, xx - c, (xx - yy + (c - 8)) / 1.41], 1)
    img = (d.abs() < 1.5).float()[torch.arange(n), y]
    return {"pixel_values": (img - 0.2)[:, None] + 0.3 * torch.randn(n, 1, 16, 16), "labels": y}


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
