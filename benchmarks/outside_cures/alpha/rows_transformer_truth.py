import importlib

import torch
from torch import nn

user = importlib.import_module("rows_transformer")

STEPS = 200
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "ten encoder layers with the normalisation after the sum (post-norm) at a high rate without"
    " warm-up: the tokens and samples become alike, the loss stays at chance"
)


def metric(model):
    model.eval()
    with torch.no_grad():
        hit = model(user.rows[user.TEST]).argmax(1) == user.number[user.TEST]
    model.train()
    return hit.float().mean().item()


def cured():
    net = user.model()
    a = user.args
    layer = nn.TransformerEncoderLayer(
        a.d_model, a.heads, a.ff, dropout=0.0, batch_first=True, norm_first=True
    )
    net.encoder = nn.TransformerEncoder(
        layer, a.layers, norm=nn.LayerNorm(a.d_model), enable_nested_tensor=False
    )
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 200 steps, goal 0.7 -- as it is: 0.1046, 0.34, 0.1087; cured: 0.8471, '
    '0.8994, 0.8934; longest run 4.1 s on one core'
)
