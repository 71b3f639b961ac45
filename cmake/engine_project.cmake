# The wasm engines from within another build, into WASM_TORCH_ENGINE_DIR.

include(ExternalProject)

# add_engine_project(VARIANT...): needs EM_CONFIG, Emscripten's em-config. The engines are a project of
# their own, with Emscripten's own toolchain file and none of the flags around them: they are no side
# modules, and a front end may wrap the compiler to make everything one.
function(add_engine_project)
  execute_process(COMMAND "${EM_CONFIG}" EMSCRIPTEN_ROOT OUTPUT_VARIABLE EMSCRIPTEN_ROOT
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  list(TRANSFORM ARGN PREPEND "engine_" OUTPUT_VARIABLE TARGETS)
  list(TRANSFORM ARGN REPLACE "(.+)" "${CMAKE_BINARY_DIR}/engine/engine/\\1.wasm"
       OUTPUT_VARIABLE MODULES)
  set(WITHOUT_FLAGS "${CMAKE_COMMAND}" -E env --unset=CFLAGS --unset=LDFLAGS --unset=CC
      --unset=CMAKE_ARGS --unset=SIDE_MODULE_CFLAGS --unset=SIDE_MODULE_LDFLAGS)
  ExternalProject_Add(engine
    SOURCE_DIR "${PROJECT_SOURCE_DIR}"
    BINARY_DIR "${CMAKE_BINARY_DIR}/engine"
    CONFIGURE_COMMAND ${WITHOUT_FLAGS} "${CMAKE_COMMAND}" -S <SOURCE_DIR> -B <BINARY_DIR>
      -G "${CMAKE_GENERATOR}" -DCMAKE_MAKE_PROGRAM=${CMAKE_MAKE_PROGRAM} -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_TOOLCHAIN_FILE=${EMSCRIPTEN_ROOT}/cmake/Modules/Platform/Emscripten.cmake
      -DWASM_TORCH_VERSION=${WASM_TORCH_VERSION}
    BUILD_COMMAND ${WITHOUT_FLAGS} "${CMAKE_COMMAND}" --build <BINARY_DIR> --target ${TARGETS}
    BUILD_ALWAYS ON
    BUILD_BYPRODUCTS ${MODULES}
    INSTALL_COMMAND "")
  set(WASM_TORCH_ENGINE_DIR "${CMAKE_BINARY_DIR}/engine/engine" PARENT_SCOPE)
endfunction()
