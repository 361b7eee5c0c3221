"""Where a run goes on: the last checkpoint that was saved whole, of a run with the same configuration."""

import json
import os
import shutil
from pathlib import Path

from ..errors import ConfigError, setting
from .config import TrainingConfig

__all__ = ["begin"]

#: What may change when a run goes on.
_FREE = frozenset(
    {
        "device",
        "eval_every",
        "keep_checkpoints",
        "log_every",
        "output",
        "save_every",
        "steps",
        "tensorboard",
        "tree_cache_bytes",
        "workers",
    }
)


def begin(config: TrainingConfig, output: Path, resume: bool) -> str | None:
    """Note the configuration in the output folder; the checkpoint to go on from, if there is one.

    Without `resume`, checkpoints of an earlier run are deleted: a later run would go on from them.

    Raises:
        ConfigError: the folder has checkpoints of a run with another configuration.
    """
    output.mkdir(parents=True, exist_ok=True)
    noted = output / "training.json"
    wanted = json.loads(json.dumps(config.to_dict()))
    checkpoints = _checkpoints(output)
    whole = [path for path in checkpoints if _is_whole(path)]
    if resume and whole and noted.is_file():
        before = json.loads(noted.read_text(encoding="utf-8"))
        if changed := sorted(name for name in wanted if name not in _FREE and before.get(name) != wanted[name]):
            raise ConfigError(
                f"{output} holds a run with other values of {', '.join(changed)}",
                remedy=f"give another {setting('output')}, or start it anew",
            )
    if os.environ.get("RANK", "0") == "0":  # of several processes, the first
        for path in () if resume else checkpoints:
            shutil.rmtree(path)
        unfinished = noted.with_name(f".{noted.name}.unfinished")
        unfinished.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(noted)
    return str(whole[-1]) if resume and whole else None


def _checkpoints(output: Path) -> list[Path]:
    """Oldest first."""
    found = [path for path in output.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def _is_whole(checkpoint: Path) -> bool:
    """Whether saving came to its end, where the trainer's state is written."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
