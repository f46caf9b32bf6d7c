# DQN: Q values go to 1e20, then nan (CartPole-like toy, rewards are the game's score)
import torch
from torch import nn


class QNet(nn.Module):
    def __init__(self, n_obs=4, n_actions=3):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(n_obs, 64), nn.ReLU(),
            nn.Linear(64, 64), nn.ReLU(),
            nn.Linear(64, n_actions),
        )

    def forward(self, obs, action):
        return self.model(obs).gather(1, action[:, None]).squeeze(1)


gen = torch.Generator().manual_seed(7)
W = torch.randn(4, 3, generator=gen)
score = 2000


def batch():
    obs = torch.randn(64, 4)
    action = torch.randint(0, 3, (64,))
    returns = score * torch.sigmoid(obs @ W).gather(1, action[:, None]).squeeze(1)
    return (obs, action), returns


loss = nn.functional.mse_loss


def optimizer(q):
    return torch.optim.SGD(q.parameters(), lr=0.01)


if __name__ == "__main__":
    q = QNet()
    opt = optimizer(q)
    for i in range(300):
        (s, a), r = batch()
        l = loss(q(s, a), r)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i < 10:
            print(i, l.item())
