# Each target makes its own virtual environment `.venv` from constraints.txt when there is none or it is stale.
#   make demo   restore a few held-out portraits and write _build/demo.png
#   make test   unit, golden, notebook and book tests (what CI runs), then those of the next line
#   make test-app  the tests of `rusr app`, in an environment of its own: Gradio wants an older Pillow
#   make book   execute every chapter and build the pages into _build/html
#   make book-without-solutions  the same for students, into _build/students/_build/html
#   make decks  build the course's three decks into _build/decks, from recorded figures
#   make slides export every figure of the book for slides into _build/slides
#   make lab    open the chapters in JupyterLab
#   make check  lint and the quick unit tests, for the inner loop
#   make lint   ruff, on the library, the tests, the benchmarks and the tools; the order of the library's imports
#   make prior  train the embedded prior again, beside the shipped one (hours; see data/portraits/MODEL_CARD.md)
# PYTHON=... chooses the interpreter (3.11 or newer), PIP_ARGS=... is handed to pip (for example another index).

PYTHON ?= python3
PIP_ARGS ?=
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
APP := .venv-app
SUB := $(MAKE) --no-print-directory

# One thread a process: the tests and the book run $(JOBS) processes side by side.
export OMP_NUM_THREADS ?= 1
# Waiting threads sleep: spinning ones stall each other on a busy machine.
export OMP_WAIT_POLICY ?= PASSIVE
export PYDEVD_DISABLE_FILE_VALIDATION = 1

.PHONY: demo check test test-app test-app-if-there book book-without-solutions decks slides lab lint prior clean
.DEFAULT_GOAL := demo

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Python 3.11 or newer is needed, {sys.executable} is {v[0]}.{v[1]}; set PYTHON=")'
	@echo "== Making $(VENV) from constraints.txt (once; some minutes, mostly PyTorch's download)"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[book,test,dask]'
	@touch $(READY)

demo: $(READY)
	@echo "== Restoring held-out portraits with the embedded prior"
	OMP_NUM_THREADS=$(JOBS) $(BIN)/python -m benchmarks.demo --out _build/demo.png

check: $(READY) lint
	@echo "== Quick unit tests in $(JOBS) processes"
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadscope --no-loadscope-reorder -p no:nbval -m "not slow" tests

# The page of `rusr app` is tested beside all else; what its tests say comes last.
test: $(READY) lint
	@mkdir -p _build
	@echo "== Unit, golden, notebook and book tests in $(JOBS) processes; those of rusr app beside them"
	@$(SUB) test-app-if-there > _build/test-app.log 2>&1 & page=$$!; \
	  $(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder --nbval-lax \
	  --nbval-kernel-name=preloaded --nbval-cell-timeout=300 --durations=15 tests book; all=$$?; \
	  wait $$page; page=$$?; cat _build/test-app.log; test $$all -eq 0 -a $$page -eq 0

test-app-if-there:
	@if $(SUB) $(APP)/.ready; then $(SUB) test-app; \
	  else echo "== Gradio could not be installed: the tests of the page of rusr app are skipped"; fi

# Gradio and its Pillow come first, all else from $(VENV).
$(APP)/.ready: $(READY) constraints-app.txt
	@echo "== Making $(APP) from constraints-app.txt, beside $(VENV)"
	$(PYTHON) -m venv --clear $(APP)
	$(APP)/bin/python -m pip install --quiet $(PIP_ARGS) --constraint constraints-app.txt gradio
	place() { "$$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; } && \
	  echo "import site; site.addsitedir('$$(place $(BIN)/python)')" > "$$(place $(APP)/bin/python)/zz_beside.pth"
	@touch $(APP)/.ready

test-app: $(APP)/.ready
	@echo "== The page of rusr app, in a browser where there is one"
	$(APP)/bin/python -m pytest -q --durations=5 tests/app

# --all: else a page whose own text is unchanged keeps the numbers of its last build, whatever was recorded since.
book: $(READY)
	@echo "== Executing every chapter and building the book; warnings are errors"
	@mkdir -p _build
	$(BIN)/python book/live/pack.py _build/live/live
	$(BIN)/python book/live/status.py _build/live/live _build/live_status.md
	$(BIN)/python book/terms.py _build/live/terms.js
	$(BIN)/python book/configure.py > _build/_config.yml
	RUSR_STATIC=1 OMP_NUM_THREADS=$(JOBS) $(BIN)/jupyter-book build . --all --config _build/_config.yml -n -W --keep-going
	$(BIN)/python book/phone.py _build
	$(BIN)/python book/fit.py _build/html
	@echo "== Open _build/html/index.html"

STUDENTS := _build/students
book-without-solutions: $(READY)
	@echo "== Building the book without its solutions; warnings are errors"
	$(BIN)/python book/without_solutions.py $(STUDENTS)
	$(BIN)/python book/live/pack.py $(STUDENTS)/_build/live/live
	$(BIN)/python book/live/status.py $(STUDENTS)/_build/live/live $(STUDENTS)/_build/live_status.md
	$(BIN)/python book/terms.py $(STUDENTS)/_build/live/terms.js
	$(BIN)/python book/configure.py > $(STUDENTS)/_config.yml
	RUSR_STATIC=1 RUSR_SOLUTIONS=0 OMP_NUM_THREADS=$(JOBS) $(BIN)/jupyter-book build $(STUDENTS) --all -n -W --keep-going
	$(BIN)/python book/phone.py $(STUDENTS)/_build
	@echo "== Open $(STUDENTS)/_build/html/index.html"

decks: $(READY)
	@echo "== Building the course's decks from recorded figures"
	$(BIN)/python book/decks/build.py _build/decks

slides: $(READY)
	@echo "== Running every chapter and exporting its figures"
	OMP_NUM_THREADS=$(JOBS) $(BIN)/python book/slides.py _build/slides

lab: $(READY)
	@echo "== Opening the chapters in JupyterLab"
	$(BIN)/jupyter lab --notebook-dir=book

lint: $(READY)
	$(BIN)/ruff check rusr_core tests benchmarks book tools
	$(BIN)/ruff check --isolated --select F book
	$(BIN)/lint-imports --no-cache --no-logo

prior: $(READY)
	@echo "== Training the embedded prior again into data/portraits/work; hours on a CPU, see data/portraits/MODEL_CARD.md"
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.portraits.make --work data/portraits/work --processes $(JOBS)

clean:
	rm -rf _build $(VENV)
