"""How fast, and in how much memory: this model, and what a user would run instead, beside the hardware's limits.

settings.py   what is measured
weights.py    one set of weights for all systems
systems.py    the systems, each with the ways to its first token
floors.py     what the hardware allows: measured rates, and the work of each figure
worker.py     one length, in a process of its own: systems in turns, one figure after the other
run.py        all lengths, and what came of them
tables.py     tables and plots
"""

from .run import measure
from .settings import SYSTEMS, EfficiencySettings
from .tables import tables, write_plots

__all__ = ["SYSTEMS", "EfficiencySettings", "measure", "tables", "write_plots"]
