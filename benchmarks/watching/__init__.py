"""What it costs to watch a training run, by unvanish and by other tools, side by side."""
