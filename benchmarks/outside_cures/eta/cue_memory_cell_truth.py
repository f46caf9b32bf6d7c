import torch

import cue_memory_cell as user

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the hidden state is detached inside the time loop, so the gradient reaches one step back only"
    " and never the step that shows the cue"
)
X, Y = user.trials(1000, torch.Generator().manual_seed(5))


@torch.no_grad()
def metric(model):
    return (model(X).argmax(1) == Y).float().mean().item()


class CueNet(user.CueNet):
    def forward(self, x, return_states=False):
        h = x.new_zeros(x.shape[0], self.n_hidden)
        states = []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            states.append(h)
        out = self.readout(states[-1])
        return (out, torch.stack(states, 1)) if return_states else out


def cured():
    net = CueNet()
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.17, 0.169, 0.176; cured: 1, 1, 1; longest run 3.5 s on one core'
)
