"""Write a treatment into the user's own source, and prove that it gives what was tested."""

from unvanish.treat.patch.writing import patch

__all__ = ["patch"]
