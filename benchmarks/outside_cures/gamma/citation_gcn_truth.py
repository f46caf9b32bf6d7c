import torch

import citation_gcn as user

STEPS = 200
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Twenty-four graph convolutions without skips average the nodes until they are alike "
    "(over-smoothing) and the gradient of their differences vanishes; skips are needed."
)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(user.TEST).argmax(1) == user.Y[user.TEST]).float().mean().item()


class Skipped(user.GCN):
    def forward(self, nodes):
        h = torch.tanh(self.first(user.X))
        for conv in self.convs:
            h = h + 0.3 * torch.tanh(conv(h))
        return self.last(h)[nodes]


def cured():
    model = Skipped()
    return model, torch.optim.Adam(model.parameters(), lr=5e-3), user.loss


EVIDENCE = (
    "200 steps, seeds 0 1 2: as it is 0.186, 0.222, 0.16; cured 0.87, 0.876, 0.862; goal "
    "0.7; slowest run 4.6 s on one core"
)
