"""Look-up questions over real documents with facts placed in them, made without end and the same everywhere.

from sharedllm_core.training.tasks import TaskSettings, generate_tasks, read_texts

settings = TaskSettings(length=8_000, count_tokens=lambda text: len(tokenizer.encode(text)), questions_per_set=4)
for task in generate_tasks(read_texts("texts.jsonl.xz"), settings, seed=0):
    ...
"""

from .files import TextFiles, read_texts, write_tasks
from .filler import FillerTexts
from .forms import FORMS, NO_ANSWER
from .generator import generate_tasks
from .haystack import Text
from .kinds import KINDS, FactKind, read_kinds
from .settings import TaskSettings
from .task import Evidence, Split, Task, TaskDocument

__all__ = [
    "FORMS",
    "KINDS",
    "NO_ANSWER",
    "Evidence",
    "FactKind",
    "FillerTexts",
    "Split",
    "Task",
    "TaskDocument",
    "TaskSettings",
    "Text",
    "TextFiles",
    "generate_tasks",
    "read_kinds",
    "read_texts",
    "write_tasks",
]
