# `make help` lists the targets. Everything is installed into .toolchain, .venv and node_modules (and
# Debian packages into the system), everything built goes to build/, wheels go to dist/.
SHELL := /bin/sh
PYTHON := .venv/bin/python
# The pinned Node.js and Emscripten come first.
export PATH := $(CURDIR)/.toolchain/node/bin:$(CURDIR)/.toolchain/emscripten/bin:$(PATH)
# Two builds in one folder at once would spoil each other; the second waits.
LOCKED := $(shell command -v flock >/dev/null && echo flock build/.lock)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format wheel lite site bench-eager bench-matmul bench-train \
	bench bench-field bench-micro bench-load bench-overhead bench-shipped bench-sizes soak zoo-check \
	real-check budgets host native engine npm release data clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## install everything that the other targets need, once
	@tools/setup/bootstrap.sh

demo: site  ## serve the demo pages and the notebooks, with and without isolation
	$(PYTHON) site/serve.py

test: setup native wheel site npm  ## run every test
	$(PYTHON) tools/run_tests.py

lint: setup  ## check style and types of Python, C and TypeScript
	$(PYTHON) tools/lint.py

format: setup  ## rewrite Python and C files in the project's format
	$(PYTHON) tools/lint.py --fix

wheel: setup  ## build Pyodide's wheel into dist/
	@mkdir -p build
	@$(LOCKED) $(PYTHON) tools/build_wheel.py

lite: wheel  ## build the JupyterLite site with the wheel into build/site/lite
	$(PYTHON) tools/build_lite.py

site: lite data native npm  ## assemble the demo pages into build/site
	$(PYTHON) tools/build_site.py

data: setup  ## fetch MNIST into build/data, and weights and pictures into .toolchain
	@$(PYTHON) tools/fetch_data.py
	@$(PYTHON) tools/fetch_images.py

bench-eager: wheel  ## time small eager operations in Pyodide; writes build/bench/eager.json
	$(PYTHON) benchmarks/eager.py

bench-matmul: wheel  ## time a matrix product in Chromium; writes build/bench/matmul.json
	$(PYTHON) benchmarks/matmul.py

bench-train: wheel data  ## time a training epoch against torch; writes build/bench/train.json
	$(PYTHON) benchmarks/train.py

bench-load: native npm  ## time loading ResNet-50 beside onnxruntime-web; writes build/bench/load.json
	$(PYTHON) benchmarks/load.py

bench-overhead: native npm  ## time calls and jobs without work; writes build/bench/overhead.json
	$(PYTHON) benchmarks/overhead.py

bench-shipped: npm  ## bytes of a page's runtime beside others'; writes build/bench/shipped.json
	$(PYTHON) benchmarks/shipped.py

bench-sizes: native npm  ## time dynamic files beside static ones; writes build/bench/sizes.json
	$(PYTHON) benchmarks/sizes.py

soak: native npm  ## call and load ResNet-50 again and again; writes build/bench/soak.json
	$(PYTHON) benchmarks/soak.py

bench: native npm  ## time two models quickly beside torch and onnxruntime-web in Chromium
	$(PYTHON) benchmarks/run_benchmarks.py --models mobilenet_v2 resnet50 \
	    --backends native onnx wasm --iterations 10 --loads 1

bench-field: native npm  ## time five models beside all peers in Chromium and Firefox
	$(PYTHON) benchmarks/run_benchmarks.py --browsers chromium firefox --iterations 30

bench-micro: native npm  ## time single operations against the machine's peak; build/bench/micro.json
	$(PYTHON) benchmarks/micro.py

zoo-check: native wheel npm  ## export the zoo and compare it with torch in every host
	$(PYTHON) benchmarks/zoo.py

real-check: native npm data  ## run models with their real weights in browsers beside torch
	$(PYTHON) benchmarks/real.py

budgets: wheel npm  ## print the sizes of what is shipped, and lines of code by folder
	$(PYTHON) tools/budgets.py

host: setup  ## bundle the host script of the Python package
	cd src/runtime && npm run --silent build

npm: engine  ## build the npm package into src/runtime/dist
	cd src/runtime && npm run --silent package

release: npm  ## write the runtime's files and their index for a release into build/release
	$(PYTHON) tools/release_index.py

native: setup  ## build the native engine and the extension into src/wasm_torch
	@mkdir -p build
	@$(LOCKED) sh -c 'cmake -S . -B build/native -G Ninja \
	    -DPython_EXECUTABLE=$(CURDIR)/$(PYTHON) >build/native.log || { cat build/native.log; exit 1; }; \
	  cmake --build build/native'

engine: setup  ## build the wasm engines into build/engine
	@mkdir -p build
	@$(LOCKED) $(PYTHON) tools/wasm_build.py

clean:  ## remove what was built; what was installed stays
	rm -rf build dist src/wasm_torch/_C.abi3.so src/wasm_torch/_host/engine
