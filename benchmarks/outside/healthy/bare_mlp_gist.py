from torch import nn

network = nn.Sequential(
    nn.Flatten(),
    nn.Linear(28 * 28, 256),
    nn.LeakyReLU(),
    nn.Dropout(0.25),
    nn.Linear(256, 128),
    nn.LeakyReLU(),
    nn.Linear(128, 10),
)
