#!/bin/bash
# Run by rattler-build in the source folder, for the platform emscripten-wasm32.
set -euo pipefail

npm ci --ignore-scripts --prefix src/runtime
npm run --prefix src/runtime build

# Emscripten's toolchain file makes CMake cross-compile; the target's headers are the host
# environment's, whose pyconfig.h is Emscripten's already.
emscripten=$(em-config EMSCRIPTEN_ROOT)
export CMAKE_ARGS="-DCMAKE_TOOLCHAIN_FILE=${emscripten}/cmake/Modules/Platform/Emscripten.cmake \
  -DWASM_TORCH_PYTHON_INCLUDE=${PREFIX}/include/python${PY_VER}"
"${PYTHON}" -m pip install . --no-build-isolation --no-deps --ignore-installed -vv
