"""The records every stage meets in: plain numbers, standard library only."""
