"""What may stand for a loss where networks are compared."""

from __future__ import annotations

from unvanish.treat.balancing import OneTerm
from unvanish.treat.logarithms import LoggedLoss
from unvanish.treat.matching import MatchedLoss

Judge = OneTerm | MatchedLoss | LoggedLoss
