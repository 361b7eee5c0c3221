"""The folders show the architecture: each imports only from ranks below its own, so that data flows one way."""

import ast

import pytest

from tests.source import PACKAGES, imported_modules, module_name, source_files

CORE = PACKAGES["sharedllm_core"]

#: Lowest first. A folder stands for its files; within a folder, files may import each other, but in no circle.
RANKS = [
    ["errors", "version"],
    ["method"],
    ["selection", "planning"],
    ["model"],
    ["tree_cache", "text"],
    ["generation"],
    ["decoding"],
    ["engine"],
    ["__init__"],
    ["training"],
    ["evaluation"],
    ["cli"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}
ROOT_FILES = {"__init__.py", "__main__.py", "errors.py", "version.py", "py.typed"}
MOST_LINES = 350
MOST_FUNCTION_LINES = 60

FILES = source_files("sharedllm_core")
ALL_FILES = [*FILES, *source_files("sharedllm_integrations")]


def folder_of(module):
    """The part of `sharedllm_core` that a module belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def name_of(file):
    return str(file.relative_to(CORE.parent))


def test_the_root_holds_only_what_belongs_to_no_folder():
    assert {path.name for path in CORE.iterdir() if path.is_file()} == ROOT_FILES


def test_every_folder_has_a_rank():
    assert {folder_of(module_name(file)) for file in FILES} == set(RANK)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_module_imports_only_from_below(file):
    own = folder_of(module_name(file))
    others = {folder_of(module) for module in imported_modules(file) if module.startswith("sharedllm_core")}
    wrong = [other for other in others - {own} if RANK[other] >= RANK[own]]
    assert not wrong, f"{own} imports {wrong}"


def test_an_import_from_above_would_be_found():
    assert "sharedllm_core.model.lower_model" in imported_modules(CORE / "model" / "modeling.py")
    assert "sharedllm_core.method.context_tree" in imported_modules(CORE / "selection" / "policies" / "lexical.py")
    assert "sharedllm_core.selection.policies.lexical" in imported_modules(
        CORE / "selection" / "policies" / "two_looks.py"
    )
    assert "sharedllm_core" in imported_modules(CORE / "evaluation" / "demo_model.py")


def circle_in(graph):
    """Modules that import each other in a circle, or an empty list."""
    done = set()

    def search(module, path):
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for other in sorted(graph.get(module, ())):
            if found := search(other, [*path, module]):
                return found
        done.add(module)
        return []

    for module in sorted(graph):
        if found := search(module, []):
            return found
    return []


def test_no_modules_import_each_other_in_a_circle():
    assert not circle_in({module_name(file): imported_modules(file) - {module_name(file)} for file in ALL_FILES})


def test_a_circle_would_be_found():
    assert set(circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}


@pytest.mark.parametrize("file", ALL_FILES, ids=name_of)
def test_files_and_functions_are_short_enough_to_read(file):
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert not {name: lines for name, lines in long.items() if lines > MOST_FUNCTION_LINES}


@pytest.mark.parametrize(
    "file", [file for file in FILES if folder_of(module_name(file)) in {"errors", "method", "planning"}], ids=name_of
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
