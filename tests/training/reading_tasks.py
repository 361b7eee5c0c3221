"""Tasks made small, and read back by rules of their own."""

import re
import string

from sharedllm_core.training.tasks import TaskSettings, generate_tasks


def tasks(count, seed=0, start=0, texts=None, **options):
    chosen = TaskSettings(**{"length": 6_000, **options})
    return list(generate_tasks(texts, chosen, seed, start=start, count=count))


def evidence(task):
    text = {document["id"]: document["text"] for document in task.documents}
    return [text[spot["document"]][spot["start"] : spot["end"]] for spot in task.evidence]


def whole(task):
    return "\n".join(document["text"] for document in task.documents)


def times(needle, task):
    """How often something stands in the documents, however it is broken into lines and capitalised."""
    return " ".join(whole(task).lower().split()).count(" ".join(needle.lower().split()))


def pattern(template):
    """A regular expression for all that a template can become; the text of every field is a group."""
    seen = set()
    out = ""
    for literal, name, _, _ in string.Formatter().parse(template):
        out += re.escape(literal)
        if name:
            out += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
            seen.add(name)
    return re.compile(out, re.DOTALL)


def read_fact(text, kind):
    """All ways in which a text can be a fact of a kind, as pairs of key and value."""
    matches = [pattern(template).fullmatch(text) for template in kind.facts]
    return {(match["key"], match["value"]) for match in matches if match}


def matches_one(text, templates):
    return any(pattern(template).fullmatch(text) for template in templates)
