"""What a plan rests on, in sentences: printed with its numbers, so that nobody takes them for measurements."""

from ..method.config import SharedLLMConfig
from .machines import Machine
from .results import Assumptions, HostedPrices

__all__ = ["assumptions_of"]


def assumptions_of(machine: Machine, method: SharedLLMConfig, prices: HostedPrices | None) -> Assumptions:
    """The assumptions of a plan for `machine`."""
    said = [
        f"Rates are {machine.matrix_share:.0%} of {machine.tflops:g} TFLOPS and {machine.bandwidth_share:.0%} of "
        f"{machine.bandwidth_gb_per_s:g} GB/s; of computing and reading memory, the slower one counts.",
        "Matrix products are counted, and causal attention without masked pairs. Norms, sampling, launching of "
        "kernels and Python are not.",
        "One question at a time. Batching makes both ways cheaper.",
        "Memory is weights, injection, states, keys and values; activations are not counted, nor kept trees, which "
        "come on top where they are held in memory and not on disk.",
        "Times and costs suppose that everything fits. Where memory or window says no, they are of a machine or "
        "model that is alike but large enough.",
        "The documents are one text. Many short ones end in more partial chunks, and keep a few more states.",
        "Unread: documents are read for this question. Read: they were read before, and trees, or all keys and "
        "values, are at hand in the machine's memory.",
        "Once a day: each day's first question pays for reading the documents again, though trees on disk last "
        "longer, and do not depend on the documents' order as keys and values do.",
        f"A second that the machine is busy costs a 3600th of ${machine.price_per_hour:g}; idle hours cost nothing, "
        "except where it is rented day and night.",
        "Saved: the cost of the other way less that of SharedLLM that reads once a day, by busy seconds; negative "
        "where SharedLLM costs more.",
        "Nothing here says how good the answers are, and the injection must be trained.",
    ]
    if method.policy != "right":
        said.append("A last chunk of odd length may retain a few states more or fewer, by what the question selects.")
    if prices is not None:
        said.append(
            "Hosted prices are as given, of a model that may be another. What a host asks for filling its cache or for "
            "storage is left out, and its cache is taken to last the day."
        )
    return tuple(said)
