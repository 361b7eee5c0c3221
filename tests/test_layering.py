"""A module imports only from ranks below its own, so that data flows one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "sharedllm_core"

#: Lowest first. A folder stands for its files; within a folder, files may import each other.
RANKS = [
    ["errors", "version"],
    ["config", "written_schema"],
    ["context_tree", "cpu_dtype", "downsampling", "rotary", "checks", "constraint", "token_set"],
    ["best_first"],
    ["node_states", "planning"],
    ["past_context", "selection", "model_config", "checkpoint"],
    ["injection"],
    ["base_families"],
    ["node_attention"],
    ["lower_model", "node_choice"],
    ["past_encoding", "pretrained"],
    ["retention"],
    ["modeling"],
    ["tree_cache", "documents", "tokenization"],
    ["tools", "endings"],
    ["library", "answer", "answer_settings", "fair_lock", "progress", "prompting"],
    ["constrained"],
    ["sampling"],
    ["decoding", "evidence", "inspection", "tree_reader", "engine_loading"],
    ["answer_fingerprint", "answer_stream", "answering"],
    ["engine"],
    ["__init__"],
    ["training"],
    ["evaluation"],
    ["cli"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}
FILES = sorted(ROOT.rglob("*.py"))


def name_of(file):
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(file):
    """Names of the modules of this package that a file imports, also inside functions."""
    package = ["sharedllm_core", *file.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            paths = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = [*above, *(node.module.split(".") if node.module else [])]
            submodules = [
                alias.name for alias in node.names if (ROOT.joinpath(*module[1:]) / f"{alias.name}.py").exists()
            ]
            paths = [[*module, name] for name in submodules] or [module]
        else:
            continue
        for path in paths:
            if path[0] == "sharedllm_core":
                yield path[1] if len(path) > 1 else "__init__"


def test_every_module_has_a_rank():
    assert {name_of(file) for file in FILES} == set(RANK)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_only_from_below(file):
    own = name_of(file)
    wrong = [other for other in imported(file) if other != own and RANK[other] >= RANK[own]]
    assert not wrong, f"{own} imports {wrong}"


def test_an_import_from_above_would_be_found():
    assert "lower_model" in set(imported(ROOT / "modeling.py"))
    assert "past_encoding" in set(imported(ROOT / "modeling.py"))
    assert "context_tree" in set(imported(ROOT / "selection" / "right.py"))
    assert "__init__" in set(imported(ROOT / "evaluation" / "demo_model.py"))


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in FILES
        if name_of(file) in {"errors", "config", "context_tree", "best_first", "downsampling", "planning"}
    ],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_the_arithmetic_of_the_method_needs_no_torch(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    outside = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    assert not outside & {"torch", "transformers", "numpy"}
