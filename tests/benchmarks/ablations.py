"""What each part of the method is worth: a small model learns to look values up, once with each part changed.

    python tests/benchmarks/ablations.py --out runs/ablations

Run by hand, not in CI: all arms with three seeds take most of an hour on one core. An arm changes one thing, from the
first lesson on (the places of the injection, chunk positions, which tokens are kept), from the last lesson on, or in
asking alone; what arms have in common is learned once. All arms of a seed start from the same random weights and see
the same facts in the same order, so their differences are paired. `lookup_lessons.py` is what they learn.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from lookup_lessons import LESSONS, Model, Setup, accuracy, learn

from sharedllm_core import SharedLLMConfig

STEPS = (150, 100, 70)
QUESTIONS = 2048
PAPER_BASE = 30.93  # multi-document question answering of LongBench
T_QUANTILES = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}  # Student's, 97.5 %, by the number of seeds
METHOD = SharedLLMConfig(
    injection_layers=2, chunk_tokens=64, compression_ratio=8, policy="lexical", split_noise_tokens=0.5
)
BASE = Setup(METHOD)


@dataclass(frozen=True)
class Arm:
    """One line of the table.

    Attributes:
        changed: in words, what is changed.
        setup: of training.
        asked: of asking, where that is another one.
        paper: the paper's score without that part, beside `PAPER_BASE` with all.
        compared_with: the arm from which its difference is taken.
    """

    changed: str
    setup: Setup = BASE
    asked: Setup | None = None
    paper: float | None = None
    compared_with: str = "base"


def changed_method(**changes: Any) -> Setup:
    """The base's setup with other numbers of the method."""
    return replace(BASE, method=replace(METHOD, **changes))


RANDOM_PATH = replace(BASE, blind=True)
SIX_CHUNKS = replace(BASE, chunks=6)
ENCODER_DECODER = Setup(SharedLLMConfig.encoder_decoder(4, chunk_tokens=64), layers=(0, 1, 2, 3))
ARMS = {
    "base": Arm("`lexical`, β 8, h 3, σ 0.5, bottom layers: 8 states a chunk"),
    "random path": Arm("not query-aware", RANDOM_PATH, paper=29.27),
    "policy right": Arm("not query-aware", changed_method(policy="right"), paper=29.27),
    "policy similarity": Arm("the paper's policy", changed_method(policy="similarity")),
    "policy pooled": Arm("means of nodes", changed_method(policy="pooled")),
    "asked: random path": Arm("base's weights, not query-aware", asked=RANDOM_PATH),
    "asked: right": Arm("base's weights, not query-aware", asked=changed_method(policy="right")),
    "asked: similarity": Arm("base's weights, the paper's policy", asked=changed_method(policy="similarity")),
    "asked: pooled": Arm("base's weights, means of nodes", asked=changed_method(policy="pooled")),
    "no split noise": Arm("σ 0", changed_method(split_noise_tokens=0), paper=30.08),
    "more split noise": Arm("σ 2", changed_method(split_noise_tokens=2)),
    "no chunk positions": Arm("all chunks at one position", replace(BASE, ordered=False), paper=29.81),
    "injection top": Arm("layers 2, 3 of 0 to 3", replace(BASE, layers=(2, 3)), paper=28.66),
    "injection interleaved": Arm("layers 1, 3 of 0 to 3", replace(BASE, layers=(1, 3)), paper=29.15),
    "ratio 4": Arm("β 4: 16 states a chunk", changed_method(compression_ratio=4)),
    "ratio 16": Arm("β 16: 4 states a chunk", changed_method(compression_ratio=16)),
    "128-token chunks": Arm("more filler: 16 states a chunk", changed_method(chunk_tokens=128)),
    "ratio 32": Arm(
        "β 32, 128-token chunks: 4 states a chunk; beside these",
        changed_method(chunk_tokens=128, compression_ratio=32),
        compared_with="128-token chunks",
    ),
    "encoder-decoder": Arm("all layers encode and are injected: 64 states a chunk", ENCODER_DECODER),
    "depth 2": Arm("h 2: 9 states a chunk", changed_method(tree_depth=2)),
    "depth 4": Arm("h 4: 10 states a chunk", changed_method(tree_depth=4)),
    "interval starts": Arm("`sample_at`, the authors' code", changed_method(sample_at="interval_start")),
    "local positions": Arm("`key_positions`, the authors' code", changed_method(key_positions="local_plus_chunk")),
    "trained injection+upper": Arm("in the last lesson", replace(BASE, trained="injection+upper")),
    "trained injection": Arm("in the last lesson", replace(BASE, trained="injection")),
    "6 chunks": Arm("base's weights, asked about 6 chunks", asked=SIX_CHUNKS),
    "6 chunks, random positions": Arm(
        "trained with 2 chunks at positions from 6; beside `6 chunks`",
        replace(BASE, random_positions=6),
        SIX_CHUNKS,
        compared_with="6 chunks",
    ),
}


def learned(setup: Setup, seed: int, steps: Sequence[int], folder: Path) -> dict[str, Any]:
    """The weights after a lesson for each of `steps` under a setup; `folder` keeps them by all that they depend on."""
    lesson = LESSONS[len(steps) - 1]
    of_lesson = lesson.setup(setup)
    name = hashlib.sha256(repr((of_lesson, LESSONS[: len(steps)], seed, list(steps))).encode()).hexdigest()[:16]
    if (path := folder / f"{name}.pt").exists():
        return torch.load(path)
    torch.manual_seed(seed)
    model = Model(of_lesson)
    if len(steps) > 1:
        model.load_state_dict(learned(setup, seed, steps[:-1], folder))
    learn(model, of_lesson, lesson, seed, steps[-1])
    unfinished = path.with_suffix(".unfinished")
    torch.save(model.state_dict(), unfinished)
    unfinished.replace(path)
    return model.state_dict()


def run_arm(name: str, seed: int, steps: Sequence[int], questions: int, weights: Path) -> dict[str, Any]:
    """Train an arm, as far as that has not been done, and ask it: what `runs.jsonl` says of it."""
    arm, begin = ARMS[name], time.perf_counter()
    found = learned(arm.setup, seed, steps, weights)
    setup = arm.asked or arm.setup
    model = Model(setup)
    model.load_state_dict(found)
    return accuracy(model, setup, questions) | {"seconds": round(time.perf_counter() - begin, 1)}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a line for each arm that has runs, with the spread over seeds and the paired difference to the base."""
    scores: dict[str, dict[int, float]] = {}
    for row in rows:
        scores.setdefault(row["arm"], {})[row["seed"]] = row["accuracy"]
    lines = [
        "| arm | what is changed | seeds | accuracy | least to most | difference ± spread | in the paper | seen here |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in (name for name in ARMS if name in scores):
        arm, own = ARMS[name], scores[name]
        other = scores.get(arm.compared_with, {})
        differences = [own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())]
        cells = [name, arm.changed, str(len(own)), f"{fmean(own.values()):.3f}"]
        cells.append(f"{min(own.values()):.3f} to {max(own.values()):.3f}")
        cells.append(shown(differences) if name != arm.compared_with else "")
        cells.append("" if arm.paper is None else f"{'better' if arm.paper > PAPER_BASE else 'worse'}, {arm.paper}")
        cells.append(verdict(differences) if name != arm.compared_with else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(differences: Sequence[float]) -> str:
    """Mean and standard deviation over seeds."""
    if len(differences) < 2:
        return f"{differences[0]:+.3f}" if differences else ""
    return f"{fmean(differences):+.3f} ± {stdev(differences):.3f}".replace("-", "−")


def verdict(differences: Sequence[float]) -> str:
    """What the 95 % interval of the mean difference says."""
    if len(differences) < 2:
        return "too few seeds"
    mean, error = fmean(differences), stdev(differences) / len(differences) ** 0.5
    if abs(mean) <= T_QUANTILES.get(len(differences), T_QUANTILES[5]) * error:
        return "no difference seen"
    return "better" if mean > 0 else "worse"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of runs.jsonl and weights; finished runs stay")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS), metavar="ARM")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", nargs=len(STEPS), type=int, default=STEPS, help="of each lesson")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    weights, runs = options.out / "weights", options.out / "runs.jsonl"
    weights.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in runs.read_text().splitlines()] if runs.exists() else []
    settings = {"steps": list(options.steps), "questions": options.questions}
    done = {(row["arm"], row["seed"]): row for row in rows if settings.items() <= row.items()}
    for seed, name in product(options.seeds, options.arms):
        if (name, seed) not in done:
            scores = run_arm(name, seed, options.steps, options.questions, weights)
            done[name, seed] = {"arm": name, "seed": seed} | settings | scores
            with runs.open("a") as file:
                file.write(json.dumps(done[name, seed]) + "\n")
            print(done[name, seed], file=sys.stderr)
    print(table([row for (name, seed), row in done.items() if name in options.arms and seed in options.seeds]))


if __name__ == "__main__":
    main()
