"""Training runs as users start them: killed and resumed, on two processes, on wrong input."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from sharedllm_core import SharedLLMEngine
from sharedllm_core.errors import ConfigError, DocumentError, SharedLLMError
from sharedllm_core.training.config import TrainingConfig
from sharedllm_core.training.run import train
from tests import tiny_engine

from .runs import losses, settings, train_here

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(tiny_engine.ROOT), "OMP_NUM_THREADS": "1"}


def settings_file(folder, output, **changes):
    file = Path(output).with_suffix(".yaml")
    file.write_text(yaml.safe_dump(settings(folder, output, **changes)))
    return str(file)


def command(folder, output, *launcher, **changes):
    return [
        *(launcher or (sys.executable,)),
        *("-m", "sharedllm_core", "train", settings_file(folder, output, **changes)),
    ]


def execute(command):
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def run(*arguments, **changes):
    return execute(command(*arguments, **changes))


def weights(output):
    engine = SharedLLMEngine.from_pretrained(Path(output) / "model", cache=tiny_engine.memory_cache())
    return engine.model.state_dict()


@pytest.mark.parametrize("phase", ["language_modelling", "instruction"])
@pytest.mark.parametrize("trained", ["injection", "injection+upper", "all"])
def test_loss_falls_in_both_phases_whatever_is_trained(folder, tmp_path, phase, trained):
    data = {"language_modelling": "texts.jsonl", "instruction": "asked.jsonl"}[phase]
    changes = {"phase": phase, "trained": trained, "data": [str(folder / data)], "sequence_tokens": 128, "steps": 40}
    config = TrainingConfig.from_dict(settings(folder, tmp_path / "run", **changes, save_every=40))
    train(config)
    found = losses(tmp_path / "run")
    assert sum(found[step] for step in range(33, 41)) < sum(found[step] for step in range(1, 9))


def test_a_trained_model_answers_in_the_engine(folder, tmp_path):
    train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", steps=2)))
    engine = SharedLLMEngine.from_pretrained(tmp_path / "run" / "model", cache=tiny_engine.memory_cache())
    assert type(engine.model).__name__ == "SharedLLMForCausalLM"
    assert engine.ask("Who?", engine.read(tiny_engine.documents(1)), max_new_tokens=4).usage.injected_states > 0
    again = settings(folder, tmp_path / "more", steps=1, model=str(tmp_path / "run" / "model"))
    del again["base"], again["method"]
    assert train(TrainingConfig.from_dict(again)).is_dir()


def test_training_goes_on_with_other_numbers_of_the_method(folder, tmp_path):
    first = train(TrainingConfig.from_dict(settings(folder, tmp_path / "first", steps=1)))
    changes = {"model": str(first), "method": {"policy": "lexical", "chunk_tokens": 64}, "steps": 1}
    more = settings(folder, tmp_path / "more", **changes)
    del more["base"]
    engine = SharedLLMEngine.from_pretrained(
        train(TrainingConfig.from_dict(more)), cache=tiny_engine.memory_cache(), allow_untrained=True
    )
    method = engine.model.method
    assert (method.policy, method.chunk_tokens, method.injection_layers) == ("lexical", 64, 2)
    assert method.compression_ratio == 4, "what is not named stays as it was"
    with pytest.raises(ConfigError, match=r"injection_layers=3 with model=.*leave it out"):
        TrainingConfig.from_dict(more | {"method": {"injection_layers": 3}})
    with pytest.raises(ConfigError, match=r"unknown settings \['chunks'\]"):
        train(TrainingConfig.from_dict(more | {"method": {"chunks": 3}, "output": str(tmp_path / "no")}))


def test_everything_at_once_runs(folder, tmp_path):
    changes = {
        "random_chunk_positions": 1000,
        "in_batch_past": [[0, 1], [2, 3]],
        "gradient_checkpointing": True,
        "bf16": True,
        "accumulation": 2,
        "eval_data": [str(folder / "asked.jsonl")],
        "eval_every": 2,
        "steps": 4,
        "save_every": 2,
        "tensorboard": True,
        "min_learning_rate_share": 0.1,
        "warmup_steps": 1,
    }
    train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", **changes)))
    assert list((tmp_path / "run").rglob("*tfevents*"))
    assert (tmp_path / "run" / "model" / "config.json").is_file()


def test_in_bfloat16_small_steps_still_count(folder, tmp_path):
    changes = {"dtype": "bfloat16", "bf16": True, "learning_rate": 1.0e-5, "steps": 8, "trained": "injection+upper"}
    for optimizer in ("adamw", "adafactor"):
        output = tmp_path / optimizer
        train(TrainingConfig.from_dict(settings(folder, output, optimizer=optimizer, **changes)))
        kept = load_file(output / "checkpoint-8" / "model.safetensors")
        assert (
            kept["injection.0.q_proj.weight"].dtype == kept["model.layers.3.mlp.up_proj.weight"].dtype == torch.float32
        )
        assert kept["model.layers.0.mlp.up_proj.weight"].dtype == torch.bfloat16
        assert kept["injection.0.o_proj.weight"].abs().max() > 1e-6
        assert load_file(output / "model" / "model.safetensors")["injection.0.o_proj.weight"].dtype == torch.bfloat16


def test_tasks_are_generated_while_training(folder, tmp_path):
    changes = {"data": [], "tasks": {"length": 600, "forms": ["single"]}, "steps": 2, "batch_size": 2}
    train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", **changes)))
    assert (tmp_path / "run" / "model" / "config.json").is_file()


def test_a_run_that_is_killed_and_resumed_ends_with_the_same_weights(folder, tmp_path):
    changes = {"random_chunk_positions": 100, "in_batch_past": [[0, 2]], "steps": 40, "save_every": 10}
    train_here(folder, tmp_path / "whole", **changes)
    kill_after_a_checkpoint(command(folder, tmp_path / "killed", **changes), tmp_path / "killed")
    run(folder, tmp_path / "killed", **changes)
    assert_equal_runs(tmp_path / "killed", tmp_path / "whole")


def kill_after_a_checkpoint(command, output):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    killed = subprocess.Popen(command, env=ENVIRONMENT, start_new_session=True, **quiet)
    while not list(output.glob("checkpoint-*/trainer_state.json")):
        assert killed.poll() is None
        time.sleep(0.01)
    time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (output / "model").exists()


def assert_equal_runs(output, expected):
    assert losses(output) == losses(expected)
    found, whole = weights(output), weights(expected)
    assert all(torch.equal(whole[name], found[name]) for name in whole)


def launched(*kind):
    """`accelerate launch` with two processes."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", *kind, "--num_processes", "2", "--num_machines", "1"]
    return [*launch, "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]


DDP = launched("--multi_gpu")
FSDP = launched("--config_file", str(tiny_engine.ROOT / "examples" / "training" / "fsdp.yaml"))
#: What runs on two processes, with the batch size of one process.
ON_TWO_PROCESSES = {
    trained: {
        "steps": 6,
        "save_every": 6,
        "trained": trained,
        "gradient_checkpointing": trained == "injection+upper",
        "method": settings(Path(), "")["method"] | {"split_noise_tokens": 0.0},
    }
    for trained in ("all", "injection+upper", "injection")
}
IN_BFLOAT16 = ON_TWO_PROCESSES["injection+upper"] | {
    "steps": 3,
    "save_every": 3,
    "gradient_checkpointing": False,
    "dtype": "bfloat16",
    "bf16": True,
}
KILLED = {
    "random_chunk_positions": 100,
    "in_batch_past": [[0, 2]],
    "steps": 40,
    "save_every": 10,
    "trained": "injection+upper",
    "batch_size": 2,
}


@pytest.fixture(scope="module")
def sharded(folder, tmp_path_factory):
    """Folder of runs that two processes train with FSDP: one for each value of `trained`, `bfloat16` and `whole`."""
    made = tmp_path_factory.mktemp("sharded")
    runs = {trained: changes | {"batch_size": 2} for trained, changes in ON_TWO_PROCESSES.items()}
    runs |= {"bfloat16": IN_BFLOAT16 | {"batch_size": 1, "accumulation": 2}, "whole": KILLED}
    files = [settings_file(folder, made / name, **changes) for name, changes in runs.items()]
    execute([*FSDP, "-m", "tests.training.several_runs", *files])
    return made


def assert_two_processes_trained_as_one(folder, two, one, trained):
    train_here(folder, one, **ON_TWO_PROCESSES[trained])
    of_two, of_one = losses(two), losses(one)
    assert of_one.keys() == of_two.keys()
    assert all(abs(of_one[step] - of_two[step]) < 2e-3 for step in of_one), (of_one, of_two)
    single, double = weights(one), weights(two)
    for name, weight in single.items():
        torch.testing.assert_close(double[name], weight, rtol=1e-2, atol=2e-3, msg=name)
    if trained != "all":
        before = load_file(folder / "base" / "model.safetensors")
        frozen = [name for name in before if trained == "injection" or "layers.0." in name or "layers.1." in name]
        assert len(frozen) >= 18
        assert all(torch.equal(double[name], before[name]) for name in frozen)


def test_two_processes_give_the_losses_of_one(folder, tmp_path):
    done = run(folder, tmp_path / "two", *DDP, **ON_TWO_PROCESSES["all"] | {"batch_size": 2})
    assert (done.stdout + done.stderr).count("the model is in") == 1, "the first process says so, for all"
    assert_two_processes_trained_as_one(folder, tmp_path / "two", tmp_path / "one", "all")


@pytest.mark.parametrize("trained", ON_TWO_PROCESSES)
def test_shards_on_two_processes_give_the_losses_of_one(folder, tmp_path, sharded, trained):
    assert_two_processes_trained_as_one(folder, sharded / trained, tmp_path / "one", trained)


def test_in_bfloat16_shards_give_the_losses_of_one_process(folder, tmp_path, sharded):
    train_here(folder, tmp_path / "one", **IN_BFLOAT16)
    one, two = losses(tmp_path / "one"), losses(sharded / "bfloat16")
    assert all(abs(one[step] - two[step]) < 3e-2 for step in one), (one, two)
    saved = load_file(sharded / "bfloat16" / "model" / "model.safetensors")
    assert saved["lm_head.weight"].dtype == torch.bfloat16


@pytest.mark.long
def test_a_sharded_run_that_is_killed_and_resumed_ends_with_the_same_weights(folder, tmp_path, sharded):
    output = tmp_path / "killed"
    kill_after_a_checkpoint(command(folder, output, *FSDP, **KILLED), output)
    done = run(folder, output, *FSDP, **KILLED)
    assert (done.stdout + done.stderr).count("the model is in") == 1, "the first process says so, for all"
    assert_equal_runs(output, sharded / "whole")
    checkpoint = sharded / "whole" / "checkpoint-40"
    for kind in ("optimizer_0", "pytorch_model_fsdp_0"):
        first, second = (file.stat().st_size for file in sorted((checkpoint / kind).glob("*.distcp")))
        assert 0.5 < first / second < 2, kind  # each process held its half


# ---------------------------------------------------------------------------------------------- bad input


def no_weights(monkeypatch):
    """Loading weights would be an error."""
    for name in ("from_base", "from_pretrained"):
        monkeypatch.setattr(
            f"sharedllm_core.training.run.TrainableSharedLLMForCausalLM.{name}",
            lambda *_, **__: pytest.fail("weights were loaded"),
        )


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{not json", r"line 2: no JSON"),
        ("[1]", r"line 2: a list; write an object"),
        ('{"documents": ["a"], "question": "b"}', r"line 2: 'answer' is missing"),
        ('{"documents": "a", "question": "b", "answer": "c"}', r"line 2: documents are no list"),
        ('{"documents": [""], "question": "b", "answer": "c"}', r"line 2: documents hold no text"),
        ('{"documents": ["a"], "question": "", "answer": "c"}', r"line 2: question is neither"),
        ('{"documents": ["a"], "question": "b", "answer": ""}', r"line 2: answer is no text"),
        ('{"documents": ["a"], "question": "  ", "answer": "c"}', r"line 2: .*the last message is empty"),
        ('{"documents": ["a"], "question": [{"role": "user"}], "answer": "c"}', r"line 2: .*is no message"),
        ('{"documents": ["a"], "turns": []}', r"line 2: turns are no list, or an empty one"),
        ('{"documents": ["a"], "turns": [{"question": "b"}]}', r"line 2: turn 0 has no text as its answer"),
        ('{"documents": ["a"], "turns": [{"question": "b", "answer": "c"}], "answer": "c"}', r"line 2: both turns and"),
        (
            json.dumps({"documents": ["word " * 500], "question": "b", "answer": "c"}),
            r"line 2: [\d,]+ tokens of documents, and max_past",
        ),
        (
            json.dumps({"documents": ["a"], "question": "b", "answer": "c " * 500}),
            r"line 2: [\d,]+ tokens of question and answer",
        ),
    ],
)
def test_a_bad_row_is_named_by_file_and_line_before_weights_are_loaded(folder, tmp_path, monkeypatch, line, fault):
    no_weights(monkeypatch)
    file = tmp_path / "rows.jsonl"
    file.write_text('{"documents": ["a"], "question": "b", "answer": "c"}\n' + line + "\n")
    limits = {"max_past_tokens": 400, "max_running_tokens": 300}
    with pytest.raises(DocumentError, match=rf"rows\.jsonl, {fault}"):
        train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", data=[str(file)], **limits)))


@pytest.mark.parametrize(
    ("name", "fault"), [("no.jsonl", "is no file"), ("empty.jsonl", "holds no row"), ("a.jsonl.xz", "is compressed")]
)
def test_files_that_cannot_be_data(folder, tmp_path, monkeypatch, name, fault):
    no_weights(monkeypatch)
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "a.jsonl.xz").write_bytes(b"x")
    with pytest.raises(DocumentError, match=fault):
        train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", data=str(tmp_path / name))))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"learning_rat": 1}, r"unknown fields \['learning_rat'\]; known are"),
        (
            {"learning_rate": "1e-5"},
            r"learning_rate='1e-5' is not a finite number above 0; give one \(write 1.0e-5\)",
        ),
        ({"steps": 0}, "steps=0"),
        (
            {"trained": "some"},
            "trained='some' is not known; use one of 'injection', 'injection\\+lora', 'injection\\+upper', 'all'",
        ),
        ({"phase": "x"}, "phase='x'"),
        ({"model": "x"}, "either base"),
        ({"base": None}, "either base"),
        ({"tasks": {}}, "either data"),
        ({"in_batch_past": [[5, 1]]}, "in_batch_past="),
        ({"in_batch_past": 3}, "in_batch_past=3"),
        ({"past_share": 1}, "past_share=1"),
        ({"dtype": "bfloat16"}, "bf16=False is not allowed; it must be true with dtype: bfloat16"),
        ({"optimizer": "sgd"}, "optimizer='sgd'"),
        ({"method": {"injection_layer": 2}}, r"unknown settings \['injection_layer'\] in method"),
        ({"method": {"injection_layers": 9}}, "injection_layers=9, but the base model has 4 layers"),
        ({"data": [], "tasks": {"lenght": 3}}, "tasks: .*lenght"),
        ({"data": [], "tasks": {"length": 3}}, "length=3 is not a whole number of at least 500; give one"),
    ],
)
def test_wrong_settings_are_named_before_weights_are_loaded(folder, tmp_path, monkeypatch, changes, fault):
    no_weights(monkeypatch)
    with pytest.raises(SharedLLMError, match=fault):
        train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", **changes)))


@pytest.mark.parametrize(
    ("asked", "changes", "fault"),
    [
        ({"FSDP_VERSION": "1"}, {}, "FSDP of version 1 is not supported.*fsdp_version 2"),
        ({"FSDP_ACTIVATION_CHECKPOINTING": "true"}, {}, "fsdp_activation_checkpointing=true.*gradient_checkpointing"),
        ({"FSDP_OFFLOAD_PARAMS": "true"}, {}, "fsdp_offload_params=true is not supported"),
        ({}, {"optimizer": "adafactor"}, "optimizer='adafactor' cannot work on shards"),
    ],
)
def test_what_cannot_be_sharded_is_said_before_weights_are_loaded(folder, tmp_path, monkeypatch, asked, changes, fault):
    no_weights(monkeypatch)
    for name, value in ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"} | asked).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=fault):
        train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", **changes)))


def test_a_configuration_file_that_is_none(tmp_path):
    for text, fault in (("a: [", "is no YAML"), ("- a", "holds a list"), ("steps: 3", "output is missing")):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(ConfigError, match=fault):
            TrainingConfig.from_file(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        TrainingConfig.from_file(tmp_path / "nowhere.yaml")


def test_another_configuration_does_not_go_on_in_the_same_folder(folder, tmp_path):
    train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", steps=4)))
    with pytest.raises(ConfigError, match="holds a run with other values of learning_rate"):
        train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", steps=8, learning_rate=1.0)))
    train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", steps=6)))
    assert max(losses(tmp_path / "run")) == 6


# Going on, and beginning anew


def test_a_checkpoint_that_was_not_saved_whole_is_passed_over(folder, tmp_path):
    """As a kill in the middle of saving leaves it."""
    whole = train(TrainingConfig.from_dict(settings(folder, tmp_path / "whole", schedule="constant")))
    train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", steps=8, schedule="constant")))
    (tmp_path / "run" / "checkpoint-8" / "trainer_state.json").write_text('{"epoch": 0.')
    resumed = train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", schedule="constant")))
    for name, weight in load_file(whole / "model.safetensors").items():
        assert torch.equal(load_file(resumed / "model.safetensors")[name], weight), name


def test_a_run_that_begins_anew_leaves_no_checkpoint_to_go_on_from_by_mistake(folder, tmp_path):
    train(TrainingConfig.from_dict(settings(folder, tmp_path / "run")))
    other = settings(folder, tmp_path / "run", learning_rate=1.0e-3, steps=4)
    with pytest.raises(ConfigError, match="other values of learning_rate"):
        train(TrainingConfig.from_dict(other))
    train(TrainingConfig.from_dict(other), resume=False)
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-4"]


def test_a_run_goes_on_where_its_folder_was_moved(folder, tmp_path):
    whole = train(TrainingConfig.from_dict(settings(folder, tmp_path / "whole", schedule="constant")))
    train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", steps=8, schedule="constant")))
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = train(TrainingConfig.from_dict(settings(folder, tmp_path / "moved", schedule="constant")))
    assert (moved / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_evaluation_changes_nothing_about_a_run(folder, tmp_path):
    random_positions = {"random_chunk_positions": 100, "in_batch_past": [[0, 1], [2, 3]], "steps": 4}
    plain = train(TrainingConfig.from_dict(settings(folder, tmp_path / "plain", **random_positions)))
    evaluated = {"eval_data": [str(folder / "asked.jsonl")], "eval_every": 1}
    other = train(TrainingConfig.from_dict(settings(folder, tmp_path / "other", **random_positions, **evaluated)))
    assert (plain / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rate": float("inf")}, "learning_rate=inf"),
        ({"seed": 2**40}, "seed=1099511627776"),
        ({"warmup_steps": 13}, "warmup_steps=13 is not allowed; it must be at most steps=12"),
        ({"in_batch_past": [[0, 5]]}, "of at most batch_size=4 rows"),
        ({"device": "gpu9"}, "device='gpu9'"),
    ],
    ids=str,
)
def test_settings_that_would_be_ignored_or_fail_late_are_refused(folder, tmp_path, changes, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        TrainingConfig.from_dict(settings(folder, tmp_path, **changes))


def test_more_running_text_than_the_window_is_refused_before_weights_are_loaded(folder, tmp_path):
    language = {"phase": "language_modelling", "data": [str(folder / "texts.jsonl")], "sequence_tokens": 2048}
    with pytest.raises(ConfigError, match="leaves 1024 tokens of running text, and the base model's window is 512"):
        train(TrainingConfig.from_dict(settings(folder, tmp_path / "run", **language)))
