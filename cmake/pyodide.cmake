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
  # The engines are no side modules, and a front end may wrap the compiler to make everything one: so
  # they are a project of their own, with Emscripten's own toolchain file and none of those flags.
  include(ExternalProject)
  find_program(EM_CONFIG em-config REQUIRED)
  execute_process(COMMAND "${EM_CONFIG}" EMSCRIPTEN_ROOT OUTPUT_VARIABLE EMSCRIPTEN_ROOT
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(WITHOUT_FLAGS "${CMAKE_COMMAND}" -E env --unset=CFLAGS --unset=LDFLAGS --unset=CC
      --unset=CMAKE_ARGS --unset=SIDE_MODULE_CFLAGS --unset=SIDE_MODULE_LDFLAGS)
  ExternalProject_Add(engine
    SOURCE_DIR "${PROJECT_SOURCE_DIR}"
    BINARY_DIR "${CMAKE_BINARY_DIR}/engine"
    CONFIGURE_COMMAND ${WITHOUT_FLAGS} "${CMAKE_COMMAND}" -S <SOURCE_DIR> -B <BINARY_DIR>
      -G "${CMAKE_GENERATOR}" -DCMAKE_MAKE_PROGRAM=${CMAKE_MAKE_PROGRAM} -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_TOOLCHAIN_FILE=${EMSCRIPTEN_ROOT}/cmake/Modules/Platform/Emscripten.cmake
      -DWASM_TORCH_VERSION=${WASM_TORCH_VERSION}
    BUILD_COMMAND ${WITHOUT_FLAGS} "${CMAKE_COMMAND}" --build <BINARY_DIR>
      --target engine_simd engine_relaxed
    BUILD_ALWAYS ON
    INSTALL_COMMAND "")
  set(WASM_TORCH_ENGINE_DIR "${CMAKE_BINARY_DIR}/engine/engine")
endif()

set(HOST_SCRIPT "${PROJECT_SOURCE_DIR}/src/wasm_torch/_host/engine/host.js")
if(NOT EXISTS "${HOST_SCRIPT}")
  message(FATAL_ERROR "src/wasm_torch/_host/engine/host.js is missing: run `make host`")
endif()
install(PROGRAMS "$<TARGET_FILE:_C>" DESTINATION wasm_torch)
install(FILES "${HOST_SCRIPT}" "${WASM_TORCH_ENGINE_DIR}/simd.wasm"
              "${WASM_TORCH_ENGINE_DIR}/relaxed.wasm"
        DESTINATION wasm_torch/_host/engine)
