"""The remedies, one a file. A new one is a file, a test and a line in this tuple.

Other packages offer theirs as entry points in the group ``unvanish.remedies``.
"""

from typing import Final

from unvanish.treat.protocol import Remedy
from unvanish.treat.remedies.he import He

BUILTIN_REMEDIES: Final[tuple[Remedy, ...]] = (He(),)
