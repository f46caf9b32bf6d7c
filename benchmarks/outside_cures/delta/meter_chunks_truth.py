import torch

import meter_chunks as user

STEPS = 450
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "graph cut: the hidden state is detached between the chunks of one and the same sequence, so the last chunk's loss never teaches the GRU to keep what the first chunk said"


@torch.no_grad()
def metric(model):
    return (model(user.hold_x).argmax(1) == user.hold_y).float().mean().item()


class Whole(user.TariffGRU):
    def forward(self, x):
        output, _ = self.rnn(self.encoder(x), self.init_hidden(x.shape[0]))
        return self.decoder(output[:, -1])


def cured():
    net = Whole()
    return net, torch.optim.Adam(net.parameters(), lr=1e-2), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 450 steps, goal 0.8 -- as it is: 0.3417, 0.34, 0.3317; cured: 1, 1, 1; longest run 4.7 s on one core'
)
