# Commands that do everything on a machine with Python 3.11 or newer, pip and make:
#   make demo    installs mien into .venv and reads the faces of a short film; ends with the path of its report
#   make serve   the same in the browser: starts the web application and opens it
#   make test    installs mien with its training and test parts into .venv-test, and Debian's chromium where it can; runs all tests
PYTHON ?= python3

.PHONY: demo serve test lint docs bench clean

demo: .venv/installed
	.venv/bin/mien demo --out demo.mien

serve: .venv/installed
	.venv/bin/mien serve --open

test: .venv-test/installed
	.ci/chromium .venv-test/no-chromium
	.venv-test/bin/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

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

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -e '.[demo,web]'
	touch $@

.venv-test/installed: pyproject.toml
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

clean:
	rm -rf .venv .venv-test demo.mien .pytest_cache .mypy_cache .ruff_cache
