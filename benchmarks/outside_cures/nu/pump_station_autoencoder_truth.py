import torch

import pump_station_autoencoder as user

STEPS = 900
GOAL = 0.45
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "a sigmoid output for standardised channels, half of which are below 0 (it saturates at 0); and"
    " weight decay of AdamW's size in Adam, where it is added to the gradient and empties the"
    " bottleneck"
)
X = user.TEST


@torch.no_grad()
def metric(model):
    """Explained variance on held-out readings."""
    return 1 - (((model(X) - X) ** 2).mean() / X.var()).item()


class Linear(user.Decoder):
    def forward(self, z):
        z = torch.relu(self.fc1(z))
        z = torch.relu(self.fc2(z))
        z = torch.relu(self.fc3(z))
        return self.fc4(z)


def cured():
    net = user.model()
    net.decoder = Linear()
    return net, torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 900 steps, goal 0.45 -- as it is: -0.2057, -0.2057, -0.2057"
    "; cured: 0.9713, 0.9689, 0.9737; longest run 1.0 s on one core"
)
