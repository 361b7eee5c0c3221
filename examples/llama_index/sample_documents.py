"""Documents for the examples, the same as those of LangChain's. Other documents work as well."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "langchain"))

from documents import contracts, handbook

__all__ = ["contracts", "handbook"]
