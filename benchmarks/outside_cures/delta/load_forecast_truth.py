import torch

import load_forecast as user

STEPS = 350
GOAL = 0.35
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "eight gated blocks tanh * sigmoid without the residual path of WaveNet: the half-open gates shrink signal and gradient at each block until nothing arrives"


def metric(model):
    return user.mae(model, user.test_x, user.test_y)


class Residual(user.WaveForecast):
    def forward(self, x):
        x = self.inp(x)
        for block in self.blocks:
            x = x + block(x)
        return self.out(x)[:, :, -1]


def cured():
    net = Residual()
    return net, torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 350 steps, goal 0.35 -- as it is: 0.8055, 0.8005, 0.7928; cured: 0.1023, 0.09456, 0.09095; longest run 4.5 s on one core'
)
