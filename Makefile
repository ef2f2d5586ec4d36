# Needs only Python 3.11 or newer and make: `make run` installs the rest.
#
#   make run PORT=8080 DATA=~/images      make test ARGS="-k upload"      make run PYTHON=python3.13

PORT ?=
DATA ?=
# Some shells set HOST to the machine's name: in the environment, only an IP address counts.
ifneq ($(origin HOST),command line)
HOST := $(shell printf '%s' "$$HOST" | grep -Ex '[0-9.]+|[0-9a-fA-F]*:[0-9a-fA-F:.]*')
endif
ARGS ?=
PYTHON ?=
export HOST PORT DATA PYTHON
# Compiled once, not in each of the hundreds of processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

PY := .venv/bin/python
PYTEST := $(PY) -m pytest
# Two more than there are cores, because many tests wait; a worker that has run its share takes over tests of others.
AT_ONCE = -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2) --dist worksteal
# Where /dev/shm has 2 GB free, files of the tests lie there: `fsync` on a disk takes longer than most of them.
IN_MEMORY = $(shell [ -w /dev/shm ] && df -Pk /dev/shm | awk 'NR == 2 && $$4 > 2097152 \
	{ print "PYTEST_DEBUG_TEMPROOT=/dev/shm" }')
FAST = $(AT_ONCE) -o tmp_path_retention_policy=failed -m "not slow and $(NOTHING_ELSE)"
# Each file by one worker, because its tests share servers.
SLOW_AT_ONCE = -n $(shell getconf _NPROCESSORS_ONLN) --dist loadfile -o tmp_path_retention_policy=failed
# Markers of tests with a target of their own.
NOTHING_ELSE := not nightly and not browser and not clients and not proxies and not openapi and not engines and not template and not containers and not system
COMPILE := .venv/bin/uv pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-package darkroom

.DEFAULT_GOAL := help
.PHONY: help run test test-python test-slow test-engines test-alone engines test-template images test-images \
	test-system test-browser test-openapi test-proxies test-clients test-nightly fuzz kill-storm \
	lint types check format cli-docs screenshots jxl lock bench bench-list wheel release clean .venv server-environment

help: ## List the targets
	@grep -E '^[a-z.-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | while IFS='	' read -r name what; do \
		printf '  make %-18s %s\n' "$$name" "$$what"; done

run: server-environment ## Serve on HOST=127.0.0.1, PORT=8000, with data in DATA=./data, until Ctrl-C
	@exec sh tools/serve.sh

test: .venv ## Run the fast tests (ARGS= for pytest)
	$(IN_MEMORY) $(PYTEST) $(FAST) $(ARGS)

test-python: ## Run the fast tests on PYTHON=python3.14 (from Debian if it is not installed; needs root then)
	@$(IN_MEMORY) sh tools/python.sh tools/other_python.py $(or $(PYTHON),python3.13) $(FAST) \
		--ignore=tests/repository $(ARGS)

test-slow: .venv ## Run the slow tests: crashes, load, locks, the commands of the docs, generated requests
	@sh tools/python.sh tools/environment.py dev openapi
	$(IN_MEMORY) $(PYTEST) $(SLOW_AT_ONCE) -m "slow and not alone and $(NOTHING_ELSE)" $(ARGS)

test-engines: .venv engines ## Run the AWS tests on DynamoDB Local and SeaweedFS
	$(IN_MEMORY) $(PYTEST) $(SLOW_AT_ONCE) -m "engines and not nightly and not alone" $(ARGS)

test-alone: .venv engines ## Run a storm of kills and the functions under Lambda's emulator, one test at a time
	$(PYTEST) -m alone $(ARGS)

engines: ## Install those engines into .cache/engines (Linux, needs npm and java)
	@sh tools/python.sh tools/engines.py

test-template: .venv ## Check template.yaml with cfn-lint, sam validate and checkov (installed into .cache)
	@sh tools/python.sh tools/template.py
	$(PYTEST) -m template $(ARGS)

images: .venv ## Build the images in .cache on replacements of their bases (Debian, as root)
	@$(PY) tools/containers.py

test-images: .venv engines images ## Test the images: their contents, and run as Lambda and Docker do
	$(PYTEST) -m containers $(ARGS)

test-system: .venv images ## Test the whole stack with those images on an AWS emulator (installed into .cache)
	@sh tools/python.sh tools/system.py
	$(PYTEST) -m system $(ARGS)

test-browser: .venv ## Test the page, Swagger UI and ReDoc in Chromium (must be installed; needs npm)
	@sh tools/python.sh tools/environment.py dev browser
	@sh tools/python.sh tools/npm.py browser
	$(PYTEST) -m browser $(ARGS)

screenshots: .venv ## Take the screenshots of the README and of docs/page.md again (needs Chromium)
	@sh tools/python.sh tools/environment.py dev browser
	$(PY) -m tests.browser.screenshots

test-openapi: .venv ## Check the OpenAPI document with linters, and generate a client (needs npm)
	@sh tools/python.sh tools/environment.py dev openapi
	@sh tools/python.sh tools/npm.py openapi
	$(PYTEST) -m openapi $(ARGS)

test-proxies: .venv ## Test nginx, Caddy, the systemd unit, and alerts by promtool (must be installed, with openssl)
	$(PYTEST) -m proxies $(ARGS)

test-clients: .venv ## Upload with curl, Node, Python libraries and widgets in Chromium (needs npm, curl, Chromium)
	@sh tools/python.sh tools/environment.py dev browser clients
	@sh tools/python.sh tools/npm.py clients
	$(PYTEST) -m clients $(ARGS)

test-nightly: .venv engines ## Run the other cases: AWS tests on moto, more of them on the engines, generated requests
	@sh tools/python.sh tools/environment.py dev openapi
	$(PYTEST) $(SLOW_AT_ONCE) -m nightly $(ARGS)

fuzz: .venv ## Mutate images and look for crashes, hangs and wrong outcomes (SECONDS=600 SEED=1)
	$(PY) -m tests.fuzz.hunt --seconds $(or $(SECONDS),600) --seed $(or $(SEED),1)

kill-storm: .venv ## Kill a loaded server at random and look for lost uploads (SECONDS=60 SEED=)
	$(PY) -m tests.self_hosted.kill_storm --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

lint: .venv ## Check style, formatting, import contracts and docs/cli.md
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports
	$(PY) tools/cli_docs.py --check

types: .venv ## Check types with mypy, for Linux and macOS
	$(PY) -m mypy
	$(PY) -m mypy --platform darwin --no-warn-unreachable --cache-dir .mypy_cache/darwin

check: lint types test test-slow test-engines test-alone test-template test-images test-system test-browser test-openapi test-proxies test-clients ## Run everything that CI runs, except the fresh clone

cli-docs: .venv ## Write docs/cli.md from the help of the commands
	$(PY) tools/cli_docs.py

format: .venv ## Format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.venv: ## Install the packages of tests and tools
	@$(PY) tools/environment.py --current dev 2>/dev/null || sh tools/python.sh tools/environment.py dev

server-environment: ## Install the packages of the server, and the darkroom command
	@$(PY) tools/environment.py --current server 2>/dev/null || sh tools/python.sh tools/environment.py server

jxl: server-environment ## Install the encoder of JPEG XL for the server (adds numpy)
	@sh tools/python.sh tools/environment.py jxl

lock: .venv ## Write requirements/*.txt from pyproject.toml (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group dev --extra cli pyproject.toml -o requirements/dev.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group api --group worker --group server --group build --extra cli -c requirements/dev.txt pyproject.toml -o requirements/server.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group jxl -c requirements/dev.txt -o requirements/jxl.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group browser -c requirements/dev.txt -o requirements/browser.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group clients -c requirements/dev.txt -o requirements/clients.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group openapi -c requirements/dev.txt -o requirements/openapi.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group api --group aws --group gateway -c requirements/dev.txt -o requirements/api.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group worker --group aws -c requirements/dev.txt -o requirements/worker.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group runtime -c requirements/dev.txt -o requirements/runtime.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group seaweedfs -c requirements/dev.txt -o requirements/seaweedfs.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group release -o requirements/release.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group template -o requirements/template.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group checkov -o requirements/checkov.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --group ministack -o requirements/ministack.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --no-deps --group emulator -c requirements/dev.txt -o requirements/emulator.txt
	$(COMPILE) $(ARGS) --universal --python-version 3.11 --no-deps --group hadolint -c requirements/dev.txt -o requirements/hadolint.txt

bench: .venv ## Benchmark rendering against sharp and libvips (installed into .cache/bench; needs npm)
	@$(PY) -m benchmarks.render $(ARGS)

bench-list: ## List the benchmarks
	@grep -sH -m1 '"""' benchmarks/*.py benchmarks/*/__init__.py | sed -E 's/:"""/\t/' || echo "No benchmarks yet."

wheel: .venv ## Build the package of the Python client and the command into dist/
	@$(PY) tools/wheel.py

release: .venv ## Build the package, the images and their bills of materials from this commit into dist/ (needs Docker or buildah)
	@$(PY) tools/release.py

clean: ## Remove the environment and caches; ./data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
