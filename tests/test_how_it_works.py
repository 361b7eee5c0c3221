"""docs/how_it_works.md names the modules that exist, and calls that are really made, each downwards."""

import ast
import re

import pytest

from tests.source import ROOT, imported_modules, module_name, source_files
from tests.test_layering import RANK, folder_of

PAGE = (ROOT / "docs" / "how_it_works.md").read_text(encoding="utf-8")
CORE = ROOT / "sharedllm_core"
LINE = re.compile(r"(?P<indent> *)(?P<name>[\w.]+) +(?P<file>[\w/]+\.py)")
WAYS = ["question", "document"]
MOST_CALLS = 12


def calls_of(way):
    """(depth, dotted name, file) of each line of a list of calls."""
    block = PAGE.split(f"<!-- calls: {way} -->\n```\n")[1].split("```")[0]
    lines = [LINE.match(line) for line in block.splitlines()]
    assert all(lines), "each line is a name and a file"
    return [(len(line["indent"]) // 2, line["name"], CORE / line["file"]) for line in lines]


def callers_of(calls):
    """For each call but the first, the call that makes it: the nearest above that is indented less."""
    for number, (depth, _, _) in enumerate(calls[1:], start=1):
        yield next(calls[above] for above in range(number - 1, -1, -1) if calls[above][0] == depth - 1), calls[number]


def function_in(file, dotted):
    """The syntax tree of a function, or of a method of a class or of its bases in the same package."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    *classes, name = dotted.split(".")
    body = tree.body
    for one in classes:
        body = next((node.body for node in body if isinstance(node, ast.ClassDef) and node.name == one), [])
    return next((node for node in body if isinstance(node, ast.FunctionDef) and node.name == name), None)


def names_called(function):
    """Return the names of the functions that a function calls, or starts as a thread."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    called = [call.func for call in calls]
    called += [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "target"]
    return {one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in called}


def reachable_names(file, dotted):
    """Names called by a function, also through other functions of its own file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    seen, waiting = set(), [function_in(file, dotted)]
    while waiting:
        new = names_called(waiting.pop()) - seen
        seen |= new
        waiting += [functions[name] for name in new if name in functions]
    return seen


@pytest.mark.parametrize("way", WAYS)
def test_a_way_has_at_most_twelve_calls_which_all_exist(way):
    calls = calls_of(way)
    assert 2 < len(calls) <= MOST_CALLS
    missing = [f"{name} in {file}" for _, name, file in calls if function_in(file, name) is None]
    assert not missing


@pytest.mark.parametrize("way", WAYS)
def test_each_call_of_a_way_is_made_by_the_one_above_it(way):
    for (_, caller, caller_file), (_, callee, _) in callers_of(calls_of(way)):
        assert callee.split(".")[-1] in reachable_names(caller_file, caller), f"{caller} does not call {callee}"


@pytest.mark.parametrize("way", WAYS)
def test_no_call_of_a_way_leads_upwards(way):
    for (_, _, caller_file), (_, _, callee_file) in callers_of(calls_of(way)):
        caller, callee = (folder_of(module_name(file)) for file in (caller_file, callee_file))
        assert RANK[callee] <= RANK[caller], f"{caller_file} is below {callee_file}"
        above = [module for module in imported_modules(callee_file) if RANK.get(folder_of(module), 99) > RANK[callee]]
        assert not above, f"{callee_file} imports upwards: {above}"


def test_the_page_lists_every_module():
    table = PAGE.split("<!-- modules -->")[1]
    listed = set()
    for row in re.findall(r"^\| `([\w/]+)/` \| (.*?) \|", table, re.MULTILINE):
        listed |= {f"{row[0]}/{name}.py" for name in re.findall(r"`(\w+)`", row[1])}
    files = [*source_files("sharedllm_core"), *source_files("sharedllm_integrations")]
    existing = {str(file.relative_to(ROOT)) for file in files if file.name != "__init__.py"}
    assert listed == existing
