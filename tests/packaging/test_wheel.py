"""What users install: the wheel alone, in an empty environment, outside the repository."""

import json
import os
import subprocess
import sys
import venv
import zipfile

import pytest

from sharedllm_core import __version__
from tests import tiny_engine
from tests.tiny_engine import ROOT

pytestmark = pytest.mark.slow


def run(*command, cwd, **changes):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SHAREDLLM"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | changes,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    [built] = folder.iterdir()
    return built


def test_the_wheel_holds_the_package_whole_and_nothing_beside_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    info = f"sharedllm-{__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"sharedllm_core", "sharedllm_integrations", info}
    assert {"sharedllm_core/py.typed", f"{info}/entry_points.txt", f"{info}/licenses/LICENSE"} <= set(names)
    packages = (ROOT / "sharedllm_core", ROOT / "sharedllm_integrations")
    for ending in (".py", ".yaml"):
        sources = {path.relative_to(ROOT).as_posix() for package in packages for path in package.rglob(f"*{ending}")}
        assert sources
        assert {name for name in names if name.endswith(ending)} == sources
    assert not [name for name in names if "test" in name or "__pycache__" in name]


def test_the_wheel_alone_answers_in_an_empty_environment_outside_the_repository(wheel, tmp_path):
    venv.create(tmp_path / "env")
    scripts = tmp_path / "env" / "bin"
    # Without compiling: most of the modules of torch and transformers are never imported.
    install = ["-m", "pip", "--python", scripts / "python", "install", "--quiet", "--no-cache-dir", "--no-compile"]
    run(sys.executable, *install, "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    checkpoint = tiny_engine.make_checkpoint(tmp_path / "checkpoint")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lease.txt").write_text(tiny_engine.words(80))
    assert run(scripts / "sharedllm", "--version", cwd=tmp_path) == f"sharedllm {__version__}\n"
    find = "from importlib.util import find_spec; print(find_spec('sharedllm_core').origin)"
    where = run(scripts / "python", "-c", find, cwd=tmp_path)
    assert where.startswith(str(tmp_path / "env"))
    arguments = ["ask", "Who pays?", "--docs", "docs", "--model", checkpoint, "--max-new-tokens", "4", "--json"]
    cache = {"SHAREDLLM_CACHE_DIR": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    found = json.loads(run(scripts / "sharedllm", *arguments, cwd=tmp_path, **cache))
    assert found["usage"]["completion_tokens"] == 4
    assert found["evidence"][0]["document_id"] == "docs/lease.txt"
