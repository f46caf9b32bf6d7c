import torch

import sensor_lstm as user

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "an LSTM of 110 steps with forget-gate bias about 0: the cell forgets half of its content at each step,"
    " and no gradient reaches the first steps, where the label is"
)


@torch.no_grad()
def metric(model):
    return float((model(user.x_test).argmax(1) == user.y_test).float().mean())


def cured():
    net = user.model()
    h = net.hidden_dim
    with torch.no_grad():
        forget = torch.log(torch.empty(h).uniform_(user.T / 4, user.T))  # chrono initialisation
        net.lstm.bias_hh_l0.zero_()
        net.lstm.bias_ih_l0.zero_()
        net.lstm.bias_ih_l0[h:2 * h] = forget
        net.lstm.bias_ih_l0[:h] = -forget
    return net, torch.optim.Adam(net.parameters(), lr=5e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.2233, 0.2267, 0.2733; cured: 1, 1, 1; longest run 3.3 s on one core'
)
