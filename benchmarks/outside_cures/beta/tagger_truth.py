import tagger as user
import torch
from torch import nn

STEPS = 250
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Sixteen post-norm encoder layers, Adam at 3e-3 without warm-up: the first steps destroy the signal and it stays at the base rate."

T, Y = user.sentences(400, 70)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(T).argmax(-1) == Y).float().mean().item()


def cured():
    model = user.model()
    c = user.cfg
    layer = nn.TransformerEncoderLayer(c.dim, c.heads, 2 * c.dim, dropout=0.0, batch_first=True, norm_first=True)
    model.stack = nn.TransformerEncoder(layer, c.layers, norm=nn.LayerNorm(c.dim), enable_nested_tensor=False)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.573 0.573 0.573; cured: 0.982 0.97 0.965; goal 0.85, 250 steps, slowest run 9.8 s"
