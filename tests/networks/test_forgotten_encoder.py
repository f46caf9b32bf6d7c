"""Encoders that no optimiser holds, and parts of networks that only look like one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

import unvanish
from unvanish.core.findings import Severity


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def layers(*widths, norm=False):
    steps = []
    for before, after in pairwise(widths):
        steps += [nn.Linear(before, after), *[nn.LayerNorm(after)] * norm, nn.ReLU()]
    return nn.Sequential(*steps[: -2 if norm else -1])


def severity(model, batch, loss, held):
    """Return how loud UV504 is where the optimiser holds one part."""
    optimizer = torch.optim.Adam(getattr(model, held).parameters(), 1e-3)
    report = unvanish.checkup(model, batch, loss=loss, optimizer=optimizer, select=("UV504",))
    return report.findings[0].severity if report.findings else None


class Reader(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.words, self.rnn = nn.Embedding(12, 16), kind(16, 32, batch_first=True)


class Writer(Reader):
    def __init__(self, kind):
        super().__init__(kind)
        self.out = nn.Linear(64, 12)


class Translator(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.encoder, self.decoder = Reader(kind), Writer(kind)

    def forward(self, source, before):
        seen, state = self.encoder.rnn(self.encoder.words(source))
        told = self.decoder.rnn(self.decoder.words(before), state)[0]
        looked = torch.softmax(told @ seen.transpose(1, 2), -1) @ seen
        return self.decoder.out(torch.cat([told, looked], -1)).flatten(0, 1)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_translator_whose_decoder_alone_is_trained(kind):
    words = torch.randint(0, 12, (32, 7))
    batch = (words, words), words.flip(1).flatten()
    model, loss = Translator(kind), nn.functional.cross_entropy
    assert severity(model, batch, loss, "decoder") is Severity.WARNING
    assert severity(model, batch, loss, "encoder") is Severity.NOTE
    trainer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(30):
        trainer.zero_grad()
        loss(model(*batch[0]), batch[1]).backward()
        trainer.step()
    assert severity(model, batch, loss, "decoder") is Severity.NOTE


class Compressor(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.encoder, self.decoder = layers(32, 96, 16, norm=norm), layers(16, 96, 32)

    def forward(self, x):
        return self.decoder(self.encoder(x))


@pytest.mark.parametrize("norm", [True, False])
def test_a_decoder_over_an_encoder_at_its_start_and_over_one_that_was_trained(norm):
    model, x, loss = Compressor(norm), torch.randn(64, 32), nn.functional.mse_loss
    assert severity(model, (x, x), loss, "decoder") is Severity.WARNING
    trainer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        trainer.zero_grad()
        loss(model(x), x).backward()
        trainer.step()
    model.decoder = layers(16, 96, 32)
    assert severity(model, (x, x), loss, "decoder") is Severity.NOTE
    model.encoder.requires_grad_(requires_grad=False)
    assert severity(model, (x, x), loss, "decoder") is None


class Game(nn.Module):
    """Real and made data before a judge, of a class too where there are classes."""

    def __init__(self, outputs, classes=0):
        super().__init__()
        self.maker = layers(16, 96, 32)
        self.judge = nn.ModuleDict({"net": layers(32 + 8 * (classes > 0), 64, outputs)})
        if classes:
            self.judge["classes"] = nn.Embedding(classes, 8)

    def forward(self, noise, real, kind):
        return torch.cat([self.judged(real, kind), self.judged(self.maker(noise), kind)])

    def judged(self, x, kind):
        known = [self.judge["classes"](kind)] if "classes" in self.judge else []
        return self.judge["net"](torch.cat([x, *known], 1))


@pytest.mark.parametrize("part", ["maker", "judge"])
@pytest.mark.parametrize("game", ["score", "conditional", "classes"])
def test_the_players_of_a_game_are_no_encoder_and_decoder(game, part):
    kind = torch.randint(0, 5, (64,))
    inputs = torch.randn(64, 16), torch.randn(64, 32), kind
    if game == "classes":  # of the real data, and one for what is made
        batch = inputs, torch.cat([kind, torch.full((64,), 5)])
        assert severity(Game(6), batch, nn.functional.cross_entropy, part) is Severity.NOTE
        return
    batch = inputs, torch.cat([torch.ones(64, 1), torch.zeros(64, 1)])
    loss = nn.functional.binary_cross_entropy_with_logits
    model = Game(1, classes=5 if game == "conditional" else 0)
    assert severity(model, batch, loss, part) is Severity.NOTE


class ActorAndCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor, self.critic = layers(32, 96, 4), layers(36, 64, 64, 1)

    def forward(self, state):
        return self.critic(torch.cat([state, self.actor(state)], 1))


def test_a_critic_over_an_actor_is_no_decoder():
    batch = torch.randn(64, 32), torch.randn(64, 1)
    model = ActorAndCritic()
    assert severity(model, batch, nn.functional.mse_loss, "critic") is Severity.NOTE
