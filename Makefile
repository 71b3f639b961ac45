PYTHON := .venv/bin/python
# Two builds in one folder at once would spoil each other; the second waits.
LOCKED := $(shell command -v flock >/dev/null && echo flock build/.lock)

.PHONY: native
native:  ## build the native engine and the extension into src/wasm_torch
	@mkdir -p build
	@$(LOCKED) sh -c 'cmake -S . -B build/native -G Ninja \
	    -DPython_EXECUTABLE=$(CURDIR)/$(PYTHON) >build/native.log || { cat build/native.log; exit 1; }; \
	  cmake --build build/native'
