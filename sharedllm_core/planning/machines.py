"""Machines that a plan is made for: published peaks times stated shares of them, and assumed prices."""

from dataclasses import dataclass, replace
from typing import Any, Self

from ..errors import ConfigError, setting
from ..method.checks import check_number

__all__ = ["MACHINES", "Machine"]

GB = 1e9
TERA = 1e12


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine can do, and what an hour of it costs.

    Attributes:
        name: as a plan says it.
        tflops: peak rate of matrix products in the model's dtype, 10¹² operations per second.
        bandwidth_gb_per_s: peak of the memory that weights and states lie in.
        memory_gb: size of that memory, 10⁹ bytes.
        disk_gb_per_s: at which cached trees are read from disk.
        price_per_hour: USD.
        matrix_share: of the peak rate, what matrix products reach.
        bandwidth_share: of the peak bandwidth, what reading weights and states reaches.

    Raises:
        ConfigError: a rate or size that is not above 0, a share above 1, or a negative price.
    """

    name: str
    tflops: float
    bandwidth_gb_per_s: float
    memory_gb: float
    disk_gb_per_s: float
    price_per_hour: float
    matrix_share: float = 0.5
    bandwidth_share: float = 0.7

    def __post_init__(self) -> None:
        for name in ("tflops", "bandwidth_gb_per_s", "memory_gb", "disk_gb_per_s"):
            check_number(name, getattr(self, name), above=0)
        for name in ("matrix_share", "bandwidth_share"):
            check_number(name, getattr(self, name), above=0, at_most=1)
        check_number("price_per_hour", self.price_per_hour, at_least=0)

    @classmethod
    def named(cls, name: str, price_per_hour: float | None = None) -> Self:
        """One of `MACHINES`, at another price if one is given.

        Raises:
            ConfigError: no machine has this name, or the price is negative.
        """
        if name not in MACHINES:
            raise ConfigError(
                f"{setting('machine', name)} is not known",
                remedy=f"use one of {', '.join(MACHINES)}, or make a Machine of your own",
            )
        machine = cls(**vars(MACHINES[name]))
        return machine if price_per_hour is None else replace(machine, price_per_hour=price_per_hour)

    # ---------------------------------------------------------------------------------------------- formulas

    def seconds(self, operations: float, num_bytes: float) -> float:
        """The longer of computing `operations` and moving `num_bytes` of memory: the other happens meanwhile."""
        computing = operations / (self.tflops * TERA * self.matrix_share)
        moving = num_bytes / (self.bandwidth_gb_per_s * GB * self.bandwidth_share)
        return max(computing, moving)

    def disk_seconds(self, num_bytes: float) -> float:
        """Reading `num_bytes` from disk."""
        return num_bytes / (self.disk_gb_per_s * GB)

    def cost(self, seconds: float) -> float:
        """USD for `seconds` of the machine."""
        return seconds * self.price_per_hour / 3600

    def holds(self, num_bytes: float) -> bool:
        """Whether so many bytes fit its memory."""
        return num_bytes <= self.memory_gb * GB


_COLUMNS = ("name", "tflops", "bandwidth_gb_per_s", "memory_gb", "disk_gb_per_s", "price_per_hour")
# Rates of accelerators are their makers' for dense half-precision products (SXM). Disk rates, prices, and all of the
# CPU's numbers are assumptions: prices above all differ, so give your own. The CPU's rate is one at which the times to
# the first token that docs/results/efficiency.md measured come out.
_ROWS: tuple[tuple[Any, ...], ...] = (
    ("cpu-2-cores", 0.35, 20, 16, 0.5, 0.1),
    ("a100-80gb", 312, 2039, 80, 2, 2.0),
    ("h100", 989, 3350, 80, 2, 3.0),
    ("h200", 989, 4800, 141, 2, 4.0),
)

#: Known machines by name.
MACHINES = {row[0]: Machine(**dict(zip(_COLUMNS, row, strict=True))) for row in _ROWS}
