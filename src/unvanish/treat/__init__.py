"""Remedies, applied to a network, measured before any training, written as a patch."""

from unvanish.treat.prescribing import prescribe
from unvanish.treat.treatment import Treated, treat

__all__ = ["Treated", "prescribe", "treat"]
