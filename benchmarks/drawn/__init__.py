"""Networks drawn from a grammar: how often a cure cures what nobody even wrote down."""
