"""Selection policies: which half of a node is split further (π in the paper, section 3.2).

A policy is one file of this folder, named like the policy, that holds a class `Policy`. Adding a file adds the policy:
`SharedLLMConfig(policy=…)` accepts the names of the files.
"""

from importlib import import_module

from ._policy import Halves, Pooling, Query, SelectionPolicy

__all__ = ["Halves", "Pooling", "Query", "SelectionPolicy", "load_policy"]


def load_policy(name: str) -> SelectionPolicy:
    """The policy that `SharedLLMConfig.policy` names; the configuration has checked that there is one."""
    policy = import_module(f"{__name__}.{name}").Policy()
    assert isinstance(policy, SelectionPolicy), f"selection/{name}.py: Policy is no SelectionPolicy"
    return policy
