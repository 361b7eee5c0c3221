"""Small training runs: a base with its tokenizer, data of both kinds, and configurations."""

import json
import random
from pathlib import Path

from sharedllm_core.training.config import TrainingConfig
from sharedllm_core.training.run import train
from tests import tiny_engine


def make_folder(made):
    """A base with its tokenizer, and data of both kinds."""
    tiny_engine.make_checkpoint(made)
    tiny_engine.tokenizer().save_pretrained(made / "base")
    chance = random.Random(0)
    with (made / "texts.jsonl").open("w") as file:
        for seed in range(6):
            file.write(json.dumps({"text": tiny_engine.words(300, seed=seed)}) + "\n")
    with (made / "asked.jsonl").open("w") as file:
        for seed in range(24):
            documents = [tiny_engine.words(chance.randrange(10, 60), seed=100 + seed + i) for i in range(2)]
            row = {"documents": [documents[0], {"text": documents[1]}], "question": "Who signed?"}
            file.write(json.dumps(row | {"answer": chance.choice(tiny_engine.WORDS)}) + "\n")
    return made


def settings(folder, output, **changes):
    return {
        "base": str(folder / "base"),
        "method": {"injection_layers": 2, "chunk_tokens": 32, "compression_ratio": 4},
        "phase": "instruction",
        "data": [str(folder / "asked.jsonl")],
        "output": str(output),
        "steps": 12,
        "batch_size": 4,
        "learning_rate": 3.0e-3,
        "log_every": 1,
        "save_every": 4,
        "device": "cpu",
        "tensorboard": False,
        "trained": "all",
    } | changes


def train_here(folder, output, **changes):
    """Train in this process."""
    return train(TrainingConfig.from_dict(settings(folder, output, **changes)))


def history(output):
    """What the last checkpoint's log says, step by step."""
    states = sorted(
        Path(output).glob("checkpoint-*/trainer_state.json"), key=lambda p: int(p.parent.name.split("-")[1])
    )
    return [row for row in json.loads(states[-1].read_text())["log_history"] if "loss" in row]


def losses(output):
    return {row["step"]: row["loss"] for row in history(output)}
