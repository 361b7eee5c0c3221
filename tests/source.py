"""The packages as source: their files, the names of their modules, and what each of them imports."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {name: ROOT / name for name in ("sharedllm_core", "sharedllm_integrations")}


def source_files(package):
    return sorted(PACKAGES[package].rglob("*.py"))


def module_name(file):
    parts = list(file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imported_modules(file):
    """Modules of these packages that a file imports, also inside functions and for type checkers alone."""
    package = list(file.relative_to(ROOT).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = [*above, *(node.module.split(".") if node.module else [])]
            submodules = {name.name for name in node.names if _is_module(ROOT.joinpath(*module, name.name))}
            found |= {".".join([*module, name]) for name in submodules}
            if len(submodules) < len(node.names):
                found.add(".".join(module))
    return {module for module in found if module.split(".")[0] in PACKAGES}


def _is_module(path):
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()
