import torch

import contrastive_digits as user

STEPS = 200
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "The square root of the zero distances on the diagonal has an infinite derivative: the "
    "gradient is NaN from the first step; a small constant under the root is needed."
)


def metric(model):
    """Accuracy of the nearest class mean of the gallery, for queries kept away."""
    model.eval()
    with torch.no_grad():
        g, q = model(user.feats[user.gallery]), model(user.feats[user.queries])
    y = user.labels[user.gallery]
    centres = torch.stack([g[y == c].mean(0) for c in range(10)])
    distance = ((q[:, None] - centres[None]) ** 2).sum(-1)
    if not torch.isfinite(distance).all():
        return 0.0
    return (distance.argmin(1) == user.labels[user.queries]).float().mean().item()


def safe_loss(embeddings, y):
    diff = embeddings.unsqueeze(1) - embeddings.unsqueeze(0)
    d = torch.sqrt((diff**2).sum(-1) + 1e-6)
    same = (y[:, None] == y[None, :]).float()
    negative = (1 - same) * torch.clamp(user.MARGIN - d, min=0) ** 2
    return (same * d**2 + negative).sum() / (len(y) * (len(y) - 1))


def cured():
    model = user.EmbeddingNet()
    return model, user.optimizer(model), safe_loss


EVIDENCE = (
    "200 steps, seeds 0 1 2: as it is 0, 0, 0; cured 0.9316, 0.9437, 0.9336; goal 0.8; "
    "slowest run 1.1 s on one core"
)
