"""A small GAN on handwritten digits: two networks, two optimisers. Watch it as it is:

unvanish run examples/watching/gan.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

latent_dim = 16
batch_size = 64
steps = 400

torch.manual_seed(0)
images = torch.tensor(load_digits().data / 8.0 - 1.0, dtype=torch.float32)

generator = nn.Sequential(
    nn.Linear(latent_dim, 128),
    nn.BatchNorm1d(128),
    nn.ReLU(inplace=True),
    nn.Linear(128, 128),
    nn.BatchNorm1d(128),
    nn.ReLU(inplace=True),
    nn.Linear(128, 64),
    nn.Tanh(),
)
discriminator = nn.Sequential(
    nn.Linear(64, 128),
    nn.LeakyReLU(0.2),
    nn.Linear(128, 64),
    nn.LeakyReLU(0.2),
    nn.Linear(64, 1),
)
criterion = nn.BCEWithLogitsLoss()
optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

for step in range(steps):
    real = images[torch.randint(len(images), (batch_size,))]
    ones, zeros = torch.ones(batch_size, 1), torch.zeros(batch_size, 1)

    optimizer_d.zero_grad()
    fake = generator(torch.randn(batch_size, latent_dim))
    loss_d = criterion(discriminator(real), ones) + criterion(discriminator(fake.detach()), zeros)
    loss_d.backward()
    optimizer_d.step()

    optimizer_g.zero_grad()
    loss_g = criterion(discriminator(fake), ones)
    loss_g.backward()
    optimizer_g.step()

    if step % 100 == 0:
        print(f"step {step}  loss D {loss_d.item():.3f}  loss G {loss_g.item():.3f}")
