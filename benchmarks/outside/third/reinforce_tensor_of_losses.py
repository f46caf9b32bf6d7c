# REINFORCE: reward does not increase. (stack gave me a shape error so I build the tensor myself)
import torch
from torch import nn
from torch.distributions import Categorical

BEST = torch.tensor([3, 1, 0, 2, 3, 1])  # the right action of every room


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(6, 32)
        self.affine2 = nn.Linear(32, 4)

    def forward(self, x):
        return self.affine2(torch.relu(self.affine1(x)))


def loss(logits, rooms):
    m = Categorical(logits=logits)
    actions = m.sample()
    rewards = (actions == BEST[rooms]).float() - 0.25
    log_probs = m.log_prob(actions)
    policy_loss = []
    for log_prob, reward in zip(log_probs, rewards):
        policy_loss.append(-log_prob * reward)
    return torch.tensor(policy_loss, requires_grad=True).mean()


def optimizer(policy):
    return torch.optim.Adam(policy.parameters(), lr=1e-2)


def batch():
    rooms = torch.randint(0, 6, (32,))
    return torch.eye(6)[rooms], rooms


if __name__ == "__main__":
    policy = Policy()
    opt = optimizer(policy)
    for episode in range(400):
        s, rooms = batch()
        opt.zero_grad()
        loss(policy(s), rooms).backward()
        opt.step()
    print(policy(torch.eye(6)).argmax(1), "should be", BEST)
