"""All measurements by name, and which of them the given inputs allow."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, setting
from .answer_recall import AnswerRecall
from .document_questions import DocumentQuestions
from .infinitebench import InfiniteBench, check_infinitebench
from .json_lines import check_fields, rows_of
from .leaf_recall import LeafRecall
from .longbench import LongBench, check_longbench
from .lookup import Lookup
from .measurement import Measurement
from .needle import Needle
from .perplexity import Perplexity
from .question_sets import read_question_sets
from .ruler import Ruler
from .squad import Squad, read_articles

__all__ = ["MEASUREMENTS", "check_inputs", "check_names", "choose_measurements"]

#: Every measurement by its name.
MEASUREMENTS: dict[str, type[Measurement]] = {
    kind.name: kind
    for kind in (
        Perplexity,
        Needle,
        Lookup,
        Ruler,
        Squad,
        LeafRecall,
        AnswerRecall,
        DocumentQuestions,
        LongBench,
        InfiniteBench,
    )
}


def check_names(names: Sequence[str], known: Sequence[str], what: str) -> None:
    """Check names that a user gave.

    Raises:
        InputError: one that is not known, or none at all.
    """
    if not names:
        raise InputError(f"no {what} is named", remedy=f"use some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise InputError(f"{what} {name!r} is not known", remedy=f"use some of {', '.join(known)}")


def choose_measurements(names: Sequence[str] | None, given: Sequence[str]) -> list[Measurement]:
    """The measurements of some names, or all for which there is input.

    Args:
        names: of `MEASUREMENTS`; None for all that are possible.
        given: the inputs that there are, such as "texts" and "squad".

    Raises:
        InputError: a name that is not known, or one whose input is missing.
    """
    if names is None:
        return [kind() for kind in MEASUREMENTS.values() if set(kind.needs) <= set(given)]
    check_names(names, list(MEASUREMENTS), "measurement")
    for name in names:
        for need in MEASUREMENTS[name].needs:
            if need not in given:
                raise InputError(f"measurement {name!r} needs a file", remedy=f"give it with {setting(need)}")
    return [MEASUREMENTS[name]() for name in dict.fromkeys(names)]


def check_inputs(
    texts: Sequence[Path] = (),
    squad: Path | None = None,
    qa: Sequence[Path] = (),
    longbench: Sequence[Path] = (),
    infinitebench: Sequence[Path] = (),
) -> None:
    """Check all files before anything large is loaded.

    Raises:
        DocumentError: a file is missing or empty, or a row of it is wrong; with its file and line.
        InputError: a data set or task that is not supported.
    """
    for path in texts:
        for where, row in rows_of(path):
            check_fields(row, where, {"text": str})
    if squad:
        read_articles(squad)
    for path in qa:
        read_question_sets(path)
    for path in longbench:
        check_longbench(path)
    for path in infinitebench:
        check_infinitebench(path)
