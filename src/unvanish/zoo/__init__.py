"""Networks to look at, sick and healthy, one patient a file: ``unvanish check zoo:NAME``."""
