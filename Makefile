# Backoffice. `make run` and `make test` are all that a newcomer needs; both set up .venv by themselves.

# The embedded Redis has wheels for Python 3.12 and 3.11; a later Python needs redis-server on PATH. A system's own
# is built for speed: one that was compiled by hand without profile-guided optimisation takes a fifth longer.
PYTHON := $(shell for p in /usr/bin/python3.12 /usr/bin/python3.11 python3.12 python3.11 python3 python3.13 python3.14; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
CATALOGUES := $(wildcard backoffice/translations/*/LC_MESSAGES/messages.po)
COMPILED := $(CATALOGUES:.po=.mo)

# Each process that starts reads compiled code, also where Python is told to write none itself.
COMPILE := $(BIN)/python -m compileall -q backoffice worker.py

LINTS := lint-code lint-types lint-imports lint-templates lint-amounts
.PHONY: run test test-quick mutants lint $(LINTS) bench bench-compare translations lock clean

run: .venv/runtime $(COMPILED)
	@$(COMPILE)
	@$(BIN)/backoffice dev --tied

# Each process has a PostgreSQL, a Redis and a Chromium of its own. TEST_DEPTH=25 looks deeper (tests/depth.py).
# Three for two processors: a test waits for its database, its browser or its processes for a fifth of its time.
TESTERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$(((n * 3 + 1) / 2)))
PYTEST_HERE := $(BIN)/pytest --numprocesses $(TESTERS) --maxprocesses 4 --dist worksteal
test: .venv/development $(COMPILED)
	@$(COMPILE)
	@$(PYTEST_HERE) $(PYTEST)

# For work under way: without browsers, whole companies' books, long searches, races and processes of their own.
# Of 324 mutants 277 (85 %) name a test that runs here; most guards of leases, seals and races are in the others.
test-quick: .venv/development $(COMPILED)
	@$(COMPILE)
	@$(PYTEST_HERE) -m "not slow" $(PYTEST)

# Careless changes of the code, each with the tests that must notice it: all, or as `MUTANTS=--changed` names.
mutants: .venv/development $(COMPILED)
	@$(COMPILE)
	@$(BIN)/python -m tests.mutants $(MUTANTS)

# Each by itself, so that `make -j2 lint` takes little longer than the types alone.
lint: $(LINTS)
lint-code: .venv/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
lint-types: .venv/development
	$(BIN)/mypy
lint-imports: .venv/development
	$(BIN)/lint-imports
lint-templates: .venv/development
	$(BIN)/djlint --check --lint templates
lint-amounts: .venv/development
	$(BIN)/python -m tests.money_arithmetic

bench: .venv/development $(COMPILED)
	@$(COMPILE)
	@$(BIN)/python -m benchmarks $(BENCH)

# Beside django-computedfields, which nothing else needs.
bench-compare: .venv/compare $(COMPILED)
	@$(COMPILE)
	@$(BIN)/python -m benchmarks o $(BENCH)

translations: .venv/development
	$(BIN)/python -m backoffice.translations

lock: .venv/development
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
		pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra dev \
		pyproject.toml --output-file requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra compare \
		--constraints requirements-dev.lock pyproject.toml --output-file requirements-compare.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find backoffice -name '*.mo' -delete

# The environment, from the lock files: every package by its hash. uv installs in seconds what
# takes pip a minute; with the machine's own certificates, as behind a company's proxy, else with
# uv's; where uv cannot be had or does not get through, pip does the same work.
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Backoffice needs Python 3.11 or 3.12 with venv. On Debian: apt-get install python3 python3-venv"; exit 1; }
	@echo "Creating the environment in .venv …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || echo "Without uv: pip takes a little longer."

.venv/runtime: .venv/bin/python requirements.lock pyproject.toml
	@$(call install,requirements.lock)

.venv/development: .venv/bin/python requirements-dev.lock pyproject.toml
	@$(call install,requirements-dev.lock)
	@touch .venv/runtime

.venv/compare: .venv/development requirements-compare.lock
	@$(call install,requirements-compare.lock)

define install
	echo "Installing what $(1) names …"; \
	for tool in "$(BIN)/uv --system-certs" "$(BIN)/uv" "$(BIN)/python -m"; do \
		UV_COMPILE_BYTECODE=1 $$tool pip install --quiet --require-hashes -r $(1) 2>.venv/install.log && \
		$$tool pip install --quiet --no-deps --no-build-isolation --config-settings editable_mode=compat -e . 2>>.venv/install.log && \
		touch $@ && exit 0; \
	done; \
	cat .venv/install.log; echo "The packages could not be installed; what pip said stands above."; exit 1
endef

%.mo: %.po
	@$(firstword $(wildcard .venv/bin/python)) -m backoffice.translations compile
