# Commands that do everything on a machine with Python 3.11 or newer, pip and make:
#   make demo    installs mien into .venv and reads the faces of a short film; ends with the path of its report
#   make serve   the same in the browser: starts the web application and opens it
#   make quick   installs mien without torch into .venv-quick; tests the library and the server's own logic in under two minutes
#   make test    installs mien with its training and test parts into .venv-test, and Debian's chromium where it can; runs the tests
#                that meet each page, each call and the main job once
#   make test-more   all the others, which meet those again: every way through the pages, every client, whatever is slow by nature
#   make nightly     what takes long and draws anew: property tests with new examples, every hostile file through every door and
#                    ten minutes of callers that come and go (Linux),
#                    licences of all that mien stands on
#   make sbom        writes sbom.cdx.json, a bill of materials (CycloneDX) of mien with all that it needs to run
PYTHON ?= python3

# A file stays in one process, which makes what its tests share once.
SPREAD = --numprocesses auto --dist loadfile --no-loadscope-reorder --cpu-seconds

# What cannot be imported without torch, a browser's driver or schemathesis.
NOT_QUICK = browser training web/test_openapi.py

.PHONY: demo serve quick test test-more lint docs bench nightly sbom clean

demo: .venv/installed
	.venv/bin/mien demo --out demo.mien

serve: .venv/installed
	.venv/bin/mien serve --open

quick: .venv-quick/installed
	.venv-quick/bin/python -m pytest $(SPREAD) -m "not more and not process and not extras" $(NOT_QUICK:%=--ignore tests/%)

test: .venv-test/installed
	.ci/chromium .venv-test/no-chromium
	.venv-test/bin/python -m pytest $(SPREAD) -m "not more"

test-more: .venv-test/installed
	.ci/chromium .venv-test/no-chromium
	.venv-test/bin/python -m pytest $(SPREAD) -m more

lint: .venv-test/installed
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy

docs: .venv-test/installed
	.venv-test/bin/python docs/make_cli.py
	.venv-test/bin/python docs/make_figures.py
	.venv-test/bin/python docs/make_results.py

bench: .venv-test/installed
	for script in benchmarks/bench_*.py; do .venv-test/bin/python $$script || exit 1; done

nightly: .venv-test/installed
	.venv-test/bin/python docs/make_dependencies.py --check
	.venv-test/bin/python -m pytest $(SPREAD) -m hypothesis --hypothesis-profile nightly --ignore tests/web/test_openapi.py
	PYTHONPATH=tests .venv-test/bin/python -m hostile.doors
	.venv-test/bin/python benchmarks/bench_churn.py

sbom: .venv/installed .venv-sbom/installed
	.venv-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library -o sbom.cdx.json .venv/bin/python

.venv-sbom/installed:
	$(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7,<8'
	touch $@

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -e '.[demo,web]'
	touch $@

.venv-quick/installed: pyproject.toml
	$(PYTHON) -m venv .venv-quick
	.venv-quick/bin/pip install --quiet --disable-pip-version-check -e '.[quick]'
	touch $@

.venv-test/installed: pyproject.toml
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

clean:
	rm -rf .venv .venv-quick .venv-test .venv-sbom sbom.cdx.json demo.mien .pytest_cache .mypy_cache .ruff_cache
