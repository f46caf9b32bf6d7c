"""Networks in other people's styles, written and labelled by people who did not see the rules.

`sick/` and `healthy/` hold one standalone file a case; `sick.toml` and `healthy.toml` say how
`unvanish check` is called on each, which first findings an expert would accept, and what a
short training showed. `python -m benchmarks.outside` calls the command on all of them.
"""
