# WGAN: the critic loss is always -0.0000, the generator learns nothing
import torch
from sklearn.datasets import make_moons
from torch import nn

CLIP = 0.01
real_data = torch.tensor(make_moons(2000, noise=0.05, random_state=0)[0], dtype=torch.float32)


class Critic(nn.Module):
    def __init__(self, width=64, depth=5):
        super().__init__()
        sizes = [2] + [width] * depth
        self.body = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.score = nn.Linear(width, 1)
        self.act = nn.LeakyReLU(0.2)

    def one(self, x):
        for layer in self.body:
            x = self.act(layer(x))
        return self.score(x)

    def forward(self, real, fake):
        return self.one(fake).mean() - self.one(real).mean()


def clip_weights(critic):
    for p in critic.parameters():
        p.data.clamp_(-CLIP, CLIP)


def make_critic():
    critic = Critic()
    clip_weights(critic)  # as it is after the very first update
    return critic


def optimizer(critic):
    opt = torch.optim.RMSprop(critic.parameters(), lr=5e-5)
    opt.register_step_post_hook(lambda *_: clip_weights(critic))
    return opt


def loss(output, target):
    return output


def batch():
    real = real_data[torch.randint(2000, (128,))]
    return (real, torch.randn(128, 2)), torch.zeros(())


if __name__ == "__main__":
    D = make_critic()
    opt = optimizer(D)
    for it in range(300):
        (real, fake), _ = batch()
        l = D(real, fake)
        opt.zero_grad()
        l.backward()
        opt.step()
    print("critic loss %.6f" % l.item())
