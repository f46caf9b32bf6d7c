"""Watch a training run: every layer, at almost no cost, without changing it."""
