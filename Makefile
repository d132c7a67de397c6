# Each target sets up what it needs; only Python 3.11 (or later) and make have to be there.
# Install chatter goes to stderr: the last line of `make demo ARGS="--exit --json"` on stdout is the JSON.
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
UV_READY := .tools/uv-$(UV_VERSION)
INSTALLED := .venv/.installed
BIN := .venv/bin
CODE := src flows tasks monitoring tests examples
# The whole suite is measured, and shared by three processes: two leave two cores idle for a quarter of the time, waiting for servers.
# What ARGS choose is run by one, which begins sooner.
WORKERS ?= $(if $(ARGS),0,3)
COVERAGE := $(if $(ARGS),,--cov --cov-report=term:skip-covered)
AUDIT := $(UV) audit --frozen --preview-features audit
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# Without bytecode every process would compile its imports again: Prefect and MLflow start two to three times slower.
unexport PYTHONDONTWRITEBYTECODE
# Half of what is installed is imported by nobody here, or by few: that is compiled when it is.
LATER := '/(tests?|plotly|sympy|moto|faker|databricks)/'
.DEFAULT_GOAL := install
.PHONY: audit install demo test check bench chaos fuzz soak
install: $(INSTALLED)

$(UV_READY):
	@$(PYTHON) -m venv .tools >&2
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) >&2
	@touch $@

$(INSTALLED): pyproject.toml uv.lock $(UV_READY)
	@$(UV) sync --frozen --all-extras --all-groups >&2
	@$(BIN)/python -m compileall -qq -j 0 -x $(LATER) .venv/lib >&2 || true  # some files are of other Pythons
	@$(BIN)/python -c "from tidemill.kernels.ahead import compile_kernels; compile_kernels()" >&2
	@touch $@
demo: install
	@$(BIN)/tidemill demo $(ARGS)

test: install
	@{ command -v chromium && { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; }; } >/dev/null 2>&1 \
	  || { $(SUDO) apt-get update && $(SUDO) apt-get install -y --no-install-recommends chromium postgresql; } >&2 \
	  || { echo "make test: chromium or PostgreSQL is missing and apt-get could not install it; install both, then run make test again" >&2; exit 1; }
	@$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder $(COVERAGE) --durations=20 $(ARGS)

check: install
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports && $(UV) lock --check
	@$(AUDIT) || { [ $$? -ne 1 ] && echo "make check: nobody could say whether what is locked has known holes, see above" >&2; }
bench: install
	@test -n "$(NAME)" || { echo "make bench: say which one, e.g. make bench NAME=flights" >&2; exit 2; }
	@$(BIN)/python -m benchmarks.bench_$(NAME) $(ARGS)
chaos: install
	@$(BIN)/python -m tests.chaos $(ARGS)
soak: install
	@$(BIN)/python -m benchmarks.bench_soak $(ARGS)
audit: $(UV_READY)
	@$(AUDIT) $(ARGS)
fuzz: install
	@FUZZ_CASES=$(or $(CASES),2000) $(BIN)/pytest --no-cov --timeout=3600 tests/integration/test_fuzz.py $(ARGS)
