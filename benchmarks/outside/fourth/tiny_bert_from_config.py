"""Small BERT from scratch for a toy sentiment task."""
import torch
from transformers import BertConfig, BertForSequenceClassification

config = BertConfig(
    vocab_size=60, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=96, max_position_embeddings=24, num_labels=2,
)


def model():
    return BertForSequenceClassification(config)


def batch(n=32):
    ids = torch.randint(12, 60, (n, 20))
    labels = torch.randint(0, 2, (n,))
    for k in range(3):  # three opinion words per review
        pos = torch.randint(1, 20, (n,))
        ids[torch.arange(n), pos] = torch.randint(2, 7, (n,)) + 5 * labels
    ids[:, 0] = 1
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
