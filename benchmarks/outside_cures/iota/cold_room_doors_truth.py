import torch

import cold_room_doors as user

STEPS = 1000
GOAL = 0.55
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the hidden state is detached at every time step (it belonged between batches): only the last"
    " of 24 steps gets a gradient, so the cell cannot learn what to keep"
)
X, Y = user.logs(500, 51)


@torch.no_grad()
def metric(model):
    """R squared."""
    was = model.training
    model.eval()
    out = model(X)
    model.train(was)
    return (1 - (out - Y).pow(2).sum() / (Y - Y.mean()).pow(2).sum()).item()


class Through(user.DoorAtDock):
    def forward(self, x):
        emb = self.encoder(x)
        h = self.init_hidden(x.size(0))
        for t in range(x.size(1)):
            h = self.cell(emb[:, t], h)
        return self.decoder(h)


def cured():
    net = Through()
    return net, torch.optim.RMSprop(net.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 1000 steps, goal 0.55 -- as it is: -0.0041, -0.0005, 0.0753"
    "; cured: 0.9993, 0.9983, 0.9809; longest run 6.9 s on one core"
)
