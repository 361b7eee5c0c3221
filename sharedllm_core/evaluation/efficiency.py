"""Time to first token, decoding speed and peak memory by length: this model beside full attention on the same weights.

    python -m sharedllm_core.evaluation.efficiency --lengths 4096 32768 131072 --json efficiency.json

Each system is measured at each length in a process of its own (`efficiency_probe.py`), one after the other, so that
peaks of memory are its own. The weights are random unless `--base` names a checkpoint: speed does not depend on them.
Running out of memory is a result and stands in the table as one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from .efficiency_probe import SYSTEMS, Probe
from .machine import machine

__all__ = ["main", "measure", "table"]

LENGTHS = (4096, 8192, 16384, 32768, 65536, 131072)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table, and write JSON where asked."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        base = options.base or _random_base(options, folder)
        probes = [
            Probe(
                system=system,
                base=str(base),
                past_tokens=length,
                prompt_tokens=options.prompt_tokens,
                new_tokens=options.new_tokens,
                injection_layers=options.injection_layers,
                chunk_tokens=options.chunk_tokens,
                repeats=options.repeats,
                max_seconds=options.max_seconds,
                device=options.device,
                dtype=options.dtype,
            )
            for length in options.lengths
            for system in options.systems
        ]
        rows = []
        for probe in probes:
            rows.append(measure(probe))
            print(_progress(rows[-1]), file=sys.stderr, flush=True)
    result = {"machine": machine(options.device), "settings": _settings(options), "rows": rows}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(rows))


def measure(probe: Probe) -> dict[str, Any]:
    """One row: what the probe's own process measured, or `error` where it could not."""
    command = [sys.executable, "-m", "sharedllm_core.evaluation.efficiency_probe", json.dumps(asdict(probe))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own command)
    row = {"system": probe.system, "past_tokens": probe.past_tokens}
    if done.returncode == 0:
        return row | json.loads(done.stdout.splitlines()[-1])
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    out_of_memory = "out of memory" in done.stderr.lower() or "can't allocate memory" in done.stderr
    killed = done.returncode == -9  # by the kernel, which frees memory this way
    return row | {"error": "out of memory" if out_of_memory or killed else last}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table, lengths down, each with its ratio to full attention at the same length."""
    lines = [
        "| past tokens | system | time to first token (s) | full / this | decoding (tokens/s) | peak (MB) "
        "| states (MB) | peak − weights − states (MB) | peak − resting − states (MB) | runs |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    full = {row["past_tokens"]: row for row in rows if row["system"] == "full attention" and "error" not in row}
    for row in rows:
        name = f"| {row['past_tokens']:,} | {row['system']} "
        if "error" in row:
            lines.append(f"{name}| {row['error']} | | | | | | | |")
            continue
        other = full.get(row["past_tokens"])
        ratio = f"{other['first_token_s'] / row['first_token_s']:.1f}" if other else ""
        working = row["peak_bytes"] - row["weight_bytes"] - row["state_bytes"]
        above_rest = row["peak_bytes"] - row["resting_bytes"] - row["state_bytes"]
        lines.append(
            f"{name}| {row['first_token_s']:.2f} | {ratio} | {row['tokens_per_s']:.1f} | {row['peak_bytes'] / 1e6:.0f} "
            f"| {row['state_bytes'] / 1e6:.0f} | {working / 1e6:.0f} | {above_rest / 1e6:.0f} | {row['runs']} |"
        )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sharedllm_core.evaluation.efficiency", description=__doc__.split("\n\n")[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="tokens of past context")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--base", type=Path, help="a base model's folder instead of random weights")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=8)
    parser.add_argument("--intermediate", type=int, default=1376)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--injection-layers", type=int, default=4)
    parser.add_argument("--chunk-tokens", type=int, default=1024)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3, help="runs per row, of which the median counts")
    parser.add_argument("--max-seconds", type=float, default=120, help="no further run of a row after so many seconds")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    return parser


def _random_base(options: argparse.Namespace, folder: str) -> str:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=options.vocabulary,
        hidden_size=options.hidden,
        intermediate_size=options.intermediate,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        num_key_value_heads=options.kv_heads,
        dtype=options.dtype,
    )
    LlamaForCausalLM(config).to(getattr(torch, options.dtype)).save_pretrained(folder)
    return folder


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}


def _progress(row: dict[str, Any]) -> str:
    outcome = row.get("error") or f"{row['first_token_s']:.2f} s to the first token"
    return f"{row['past_tokens']:>9,} tokens, {row['system']}: {outcome}"


if __name__ == "__main__":
    main()
