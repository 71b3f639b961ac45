# The wasm engines in the desktop's wheel, which run model files there through wasmtime: those that
# WASM_TORCH_ENGINE_DIR names, those of build/engine unless a source is newer, or what Emscripten makes
# here. A wheel can do without, so nothing of this is an error.

set(WASM_TORCH_ENGINE_DIR "" CACHE PATH "Ready-made relaxed.wasm, simd.wasm and scalar.wasm")
set(OLDEST_EMCC 3.1.58)
set(VARIANTS relaxed simd scalar)

# ready_made(DIR OUT): whether a folder holds all engines, none of them older than a source.
function(ready_made DIR OUT)
  set(${OUT} TRUE PARENT_SCOPE)
  file(GLOB_RECURSE HEADERS "${PROJECT_SOURCE_DIR}/kernels/include/*.h"
                            "${PROJECT_SOURCE_DIR}/kernels/src/*.h")
  foreach(VARIANT IN LISTS VARIANTS)
    if(NOT EXISTS "${DIR}/${VARIANT}.wasm")
      set(${OUT} FALSE PARENT_SCOPE)
      return()
    endif()
    foreach(SOURCE IN LISTS ENGINE_SOURCES HEADERS)
      if(NOT "${DIR}/${VARIANT}.wasm" IS_NEWER_THAN "${SOURCE}")
        set(${OUT} FALSE PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
endfunction()

set(BUILT "${PROJECT_SOURCE_DIR}/build/engine")
if(NOT WASM_TORCH_ENGINE_DIR)
  ready_made("${BUILT}" IS_READY)
  find_program(EM_CONFIG em-config)
  if(IS_READY)
    set(WASM_TORCH_ENGINE_DIR "${BUILT}")
  elseif(EM_CONFIG)
    get_filename_component(EMSCRIPTEN_BIN "${EM_CONFIG}" DIRECTORY)
    execute_process(COMMAND "${EMSCRIPTEN_BIN}/emcc" -dumpversion OUTPUT_VARIABLE EMCC_VERSION
                    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    string(REGEX MATCH "^[0-9.]+" EMCC_VERSION "${EMCC_VERSION}")
    if(EMCC_VERSION VERSION_GREATER_EQUAL OLDEST_EMCC)
      include(cmake/engine_project.cmake)
      add_engine_project(${VARIANTS})
    endif()
  endif()
endif()

if(WASM_TORCH_ENGINE_DIR)
  list(TRANSFORM VARIANTS REPLACE "(.+)" "${WASM_TORCH_ENGINE_DIR}/\\1.wasm" OUTPUT_VARIABLE MODULES)
  install(FILES ${MODULES} DESTINATION wasm_torch/_host/engine)
else()
  message(WARNING "Neither engines in build/engine that are up to date nor Emscripten ${OLDEST_EMCC} or "
                  "later: the wheel will run no model files. Run `make engine` first to have them in it.")
endif()
