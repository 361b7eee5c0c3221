"""The forms of task: each makes a draft from what a scene offers."""

from collections.abc import Callable

from ._draft import Draft, Fact, Scene
from ._tools import TOOLS, Tool
from .lookup import NO_ANSWER, multi_key, multi_value, single, unanswerable
from .reasoning import counting, links, two_hop
from .structured import json_object, tool_call

__all__ = ["FORMS", "NO_ANSWER", "TOOLS", "Draft", "Fact", "Scene", "Tool", "possible"]

#: Every form of task by its name.
FORMS: dict[str, Callable[[Scene], Draft]] = {
    "single": single,
    "multi_key": multi_key,
    "multi_value": multi_value,
    "two_hop": two_hop,
    "counting": counting,
    "unanswerable": unanswerable,
    "tool_call": tool_call,
    "json": json_object,
}


def possible(form: str, scene: Scene) -> bool:
    """Whether the scene's kinds allow a task of the form."""
    if form == "multi_value":
        return any(kind.several for kind in scene.kinds)
    if form == "counting":
        return any(kind.several or (kind.counted and kind.name not in scene.sorts) for kind in scene.kinds)
    if form == "two_hop":
        return bool(links(scene))
    return bool(scene.kinds)
