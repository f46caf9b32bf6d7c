"""Run the command line as ``python -m unvanish``."""

from __future__ import annotations

from unvanish.cli import main

if __name__ == "__main__":
    main(prog_name="unvanish")
