"""How fast, and in how much memory: this model, and what a user would run instead, beside the hardware's limits.

settings.py   what is measured
weights.py    one set of weights for all systems
systems.py    the systems, each with the ways to its first token
floors.py     what the hardware allows: measured rates, and the work of each figure
worker.py     turns, in a process of its own: one figure after the other
worker_process.py  the other end of that process
turns.py      turns that were measured, kept in a folder
schedule.py   which turn is next, also where minutes are few
run.py        all turns
rows.py       the rows of the result
tables.py     tables and plots
"""

from .run import measure
from .settings import SYSTEMS, EfficiencySettings
from .tables import tables, write_plots
from .turns import holds_turns

__all__ = ["SYSTEMS", "EfficiencySettings", "holds_turns", "measure", "tables", "write_plots"]
