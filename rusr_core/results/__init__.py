"""What a restoration is, and the folder that keeps it. restoration.py: of any method; searches.py: of a search."""

from rusr_core.results.restoration import Restoration, ResultError
from rusr_core.results.searches import PhaseResult, Samples, Search

__all__ = ["PhaseResult", "Restoration", "ResultError", "Samples", "Search"]
