# Each target sets up .venv by itself; nothing else is needed but Python 3.11 or later and a C++ compiler.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard workbench/kernels/src/*)

.PHONY: app lab test lint-javascript bench bench-engines bench-native bench-native-isa bench-quantize sanitize clean

app: .venv/app.stamp
	$(BIN)/workbench app $(if $(PORT),--port $(PORT))

lab: .venv/app.stamp
	$(BIN)/workbench lab $(if $(PORT),--port $(PORT))

# Fast tests first, notebooks and browser last. Two at a time, each with one thread of PyTorch's own where nothing asks
# for more: two on two cores wait for each other.
test: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@if ! command -v npm >/dev/null; then echo "The JavaScript was not linted: npm is missing"; \
	elif ! $(MAKE) tools/javascript/node_modules; then echo "The JavaScript was not linted: npm can't install its tools"; \
	else $(MAKE) lint-javascript; fi
	OMP_NUM_THREADS=1 $(BIN)/pytest tests --ignore tests/browser --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/pytest --nbval notebooks
	sh tools/chromium.sh
	$(BIN)/pytest tests/browser

# Lint, format and types of the page's JavaScript. The tools come from npm; only contributors need them.
lint-javascript: tools/javascript/node_modules
	npm run --silent --prefix tools/javascript lint

tools/javascript/node_modules: tools/javascript/package.json
	npm install --silent --no-audit --no-fund --no-package-lock --prefix tools/javascript
	touch $@

bench: .venv/test.stamp
	sh tools/chromium.sh
	$(BIN)/python -m benchmarks

bench-engines: .venv/test.stamp
	sh tools/chromium.sh
	$(BIN)/python -m benchmarks.page_engines

bench-native: .venv/test.stamp
	$(BIN)/python -m benchmarks.native

bench-quantize: .venv/test.stamp
	$(BIN)/python -m benchmarks.quantize
	$(BIN)/python -m benchmarks.weight_only
	$(BIN)/python -m benchmarks.sensitivity
	$(BIN)/python -m benchmarks.mixed_precision

bench-native-isa: .venv/test.stamp
	$(BIN)/python -m benchmarks.native_isa

# The C++ checks under AddressSanitizer and UndefinedBehaviorSanitizer, then under ThreadSanitizer: five minutes, most
# of them compiling, on two cores. Needs cmake.
sanitize:
	cmake -S . -B build/sanitized -DWORKBENCH_SANITIZE=address,undefined
	cmake --build build/sanitized --target check --parallel 2
	cmake -S . -B build/sanitized-threads -DWORKBENCH_SANITIZE=thread
	TSAN_OPTIONS=halt_on_error=1 cmake --build build/sanitized-threads --target check --parallel 2

clean:
	rm -rf .venv build tools/javascript/node_modules

.venv/torch.stamp: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: PYTHON=python3.12 make app")'
	$(PYTHON) -m venv .venv
	sh tools/torch.sh $(BIN)/pip
	touch $@

.venv/app.stamp: .venv/torch.stamp $(SOURCES)
	$(INSTALL) --editable '.[engines]'
	touch $@

# All that the page needs and the tools of the tests, in one go: the kernels are built once.
.venv/test.stamp: .venv/torch.stamp $(SOURCES)
	$(INSTALL) --editable '.[engines,keras,transformers,test]'
	touch .venv/app.stamp $@
