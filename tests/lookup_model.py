"""A model with a trained injection, small enough for the repository: it looks up synthetic facts, and nothing else."""

from pathlib import Path

LOOKUP_MODEL = str(Path(__file__).parent / "models" / "lookup")
