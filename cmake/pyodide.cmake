# Pyodide's wheel: the extension as one of its side modules, and the engines beside it.

# Where this is not given, the cross-compiling build front end knows the headers.
set(WASM_TORCH_PYTHON_INCLUDE "${Python_INCLUDE_DIR}" CACHE PATH
    "CPython headers with a pyconfig.h for Emscripten")

add_executable(_C ${EXTENSION_SOURCES})
target_include_directories(_C SYSTEM PRIVATE "${WASM_TORCH_PYTHON_INCLUDE}")
target_include_directories(_C PRIVATE
  "${PROJECT_SOURCE_DIR}/src/wasm_torch/_C" "${PROJECT_SOURCE_DIR}/kernels/include")
target_compile_definitions(_C PRIVATE Py_LIMITED_API=0x030b0000 ${ENGINE_DEFINITIONS})
target_compile_options(_C PRIVATE -O2 -fPIC -Wall -Wextra -fvisibility=hidden)
target_link_options(_C PRIVATE -O2 -sSIDE_MODULE=2 -sWASM_BIGINT -sEXPORTED_FUNCTIONS=_PyInit__C)
set_target_properties(_C PROPERTIES PREFIX "" OUTPUT_NAME "_C" SUFFIX ".abi3.so")

set(WASM_TORCH_ENGINE_DIR "" CACHE PATH "Ready-made simd.wasm and relaxed.wasm, else built here")
if(NOT WASM_TORCH_ENGINE_DIR)
  find_program(EM_CONFIG em-config REQUIRED)
  include(cmake/engine_project.cmake)
  add_engine_project(simd relaxed)
endif()

set(HOST_SCRIPT "${PROJECT_SOURCE_DIR}/src/wasm_torch/_host/engine/host.js")
if(NOT EXISTS "${HOST_SCRIPT}")
  message(FATAL_ERROR "src/wasm_torch/_host/engine/host.js is missing: run `make host`")
endif()
install(PROGRAMS "$<TARGET_FILE:_C>" DESTINATION wasm_torch)
install(FILES "${HOST_SCRIPT}" "${WASM_TORCH_ENGINE_DIR}/simd.wasm"
              "${WASM_TORCH_ENGINE_DIR}/relaxed.wasm"
        DESTINATION wasm_torch/_host/engine)
