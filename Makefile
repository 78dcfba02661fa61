# `make demo` and `make test` need Python 3.11 or newer and nothing else: they make their own environment in .venv, with
# all that the README uses. By hand that is `pip install '.[all]'`; `pip install .` alone brings the core.
PYTHON ?= python3
VENV := .venv
# What runs flows in the browser; npm fetches it, once.
RUNTIME := onnxruntime-web-1.30.0.tgz
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WITH_DOCS := $(VENV)/.docs

.PHONY: demo test slow lint docs playground runtime man notebooks clean

demo: $(INSTALLED)
	$(BIN)/pushforward demo

test: lint
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

slow: $(INSTALLED)
	$(BIN)/python -m pytest -q -m slow

# The courses for Jupyter, which needs nothing that is installed here.
notebooks:
	$(PYTHON) docs/courses/notebooks.py build/courses

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

# The manual page of the command line; `man build/man/man1/pushforward.1` shows it.
man: $(INSTALLED)
	$(BIN)/python -m pushforward.cli.manual build/man/man1/pushforward.1

# The playground that needs no server, in build/playground; the site takes it in where it is there.
playground: $(INSTALLED) build/$(RUNTIME)
	$(BIN)/pushforward play-site build/playground --runtime build/$(RUNTIME)

# What the tests of that playground need.
runtime: build/$(RUNTIME)

build/$(RUNTIME):
	mkdir -p build
	cd build && npm pack --silent onnxruntime-web@$(RUNTIME:onnxruntime-web-%.tgz=%)

# The site, in build/site; it asks nothing of the network, and a warning is an error.
docs: $(WITH_DOCS)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site

$(WITH_DOCS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $(WITH_DOCS)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Pushforward needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) build dist docs/api docs/gallery_pages
