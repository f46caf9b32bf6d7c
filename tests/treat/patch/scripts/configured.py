"""A network in the style of Hugging Face: a config goes in, and the weights are made by apply."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel


class NetConfig(PretrainedConfig):
    model_type = "net"

    def __init__(self, hidden_size=32, num_hidden_layers=14, **kwargs):
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers


class NetLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states):
        hidden_states = self.dense(hidden_states)
        hidden_states = F.relu(hidden_states)
        return hidden_states


class NetModel(PreTrainedModel):
    config_class = NetConfig

    def __init__(self, config):
        super().__init__(config)
        self.layers = nn.ModuleList([NetLayer(config) for _ in range(config.num_hidden_layers)])
        self.score = nn.Linear(config.hidden_size, 3)
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(mean=0.0, std=0.02)
            module.bias.data.zero_()

    def forward(self, hidden_states):
        for layer in self.layers:
            hidden_states = layer(hidden_states)
        return self.score(hidden_states)


def model():
    return NetModel(NetConfig())


def batch():
    inputs = torch.randn(64, 32)
    return inputs, inputs[:, :3].argmax(dim=1)
