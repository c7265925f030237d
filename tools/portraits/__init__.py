"""The embedded prior's source: the renderer of portraits, the training of the networks, and their evaluation."""

from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "data" / "portraits"  # weights, test portraits, cards, checksums
