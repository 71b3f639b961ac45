# The engine as bare WebAssembly modules: compiled by emcc, linked by wasm-ld without Emscripten's
# JavaScript. Each variant becomes engine/<variant>.wasm in the build folder.
if(NOT USE_THREADS)
  message(STATUS "USE_THREADS=OFF: the pool stays empty; the memory is shared all the same")
endif()

get_filename_component(EMSCRIPTEN_BIN "${CMAKE_C_COMPILER}" DIRECTORY)
find_program(EM_CONFIG em-config HINTS "${EMSCRIPTEN_BIN}" REQUIRED)
execute_process(COMMAND "${EM_CONFIG}" LLVM_ROOT OUTPUT_VARIABLE LLVM_ROOT
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${EM_CONFIG}" BINARYEN_ROOT OUTPUT_VARIABLE BINARYEN_ROOT
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${EM_CONFIG}" CACHE OUTPUT_VARIABLE EMSCRIPTEN_CACHE
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
find_program(WASM_LD NAMES wasm-ld HINTS "${LLVM_ROOT}" NO_DEFAULT_PATH REQUIRED)
find_program(WASM_OPT NAMES wasm-opt HINTS "${BINARYEN_ROOT}/bin" NO_DEFAULT_PATH)

set(SYSROOT_LIB "${EMSCRIPTEN_CACHE}/sysroot/lib/wasm32-emscripten")
if(NOT EXISTS "${SYSROOT_LIB}/libc-mt.a")
  find_program(EMBUILDER embuilder HINTS "${EMSCRIPTEN_BIN}" REQUIRED)
  execute_process(COMMAND "${EMBUILDER}" build libc-mt libcompiler_rt-mt COMMAND_ERROR_IS_FATAL ANY)
endif()

set(LINK_OPTIONS
  --no-entry --import-memory --shared-memory --max-memory=4294967296 --gc-sections
  --export-table --growable-table -z stack-size=262144 --stack-first
  # What a worker needs to become a thread, and a host to restore after a trap.
  --export=__stack_pointer --export=__wasm_init_tls --export=__tls_size --export=__tls_align
  --export=__heap_base)
set(LINK_LIBRARIES "-L${SYSROOT_LIB}" -lc-mt -lcompiler_rt-mt)

# add_engine(NAME [compiler options...]): the objects and the module of one variant.
function(add_engine NAME)
  add_library(engine_${NAME} OBJECT ${ENGINE_SOURCES})
  target_include_directories(engine_${NAME} PUBLIC ${ENGINE_INCLUDES})
  target_compile_definitions(engine_${NAME} PUBLIC ${ENGINE_DEFINITIONS})
  target_compile_options(engine_${NAME} PUBLIC -pthread ${ARGN} PRIVATE ${ENGINE_OPTIONS})
  add_wasm_module(engine_${NAME} "${CMAKE_BINARY_DIR}/engine/${NAME}.wasm" --strip-all)
endfunction()

# Links the objects of a target to a module, and lets binaryen shrink it where that is at hand.
function(add_wasm_module OBJECTS MODULE)
  get_filename_component(FOLDER "${MODULE}" DIRECTORY)
  file(MAKE_DIRECTORY "${FOLDER}")
  set(LINK "${WASM_LD}" -o "${MODULE}" "$<TARGET_OBJECTS:${OBJECTS}>" ${LINK_OPTIONS} ${ARGN}
           ${LINK_LIBRARIES})
  add_custom_command(OUTPUT "${MODULE}" COMMAND ${LINK} DEPENDS $<TARGET_OBJECTS:${OBJECTS}>
                     COMMAND_EXPAND_LISTS VERBATIM COMMENT "Linking ${MODULE}")
  get_filename_component(NAME "${MODULE}" NAME_WE)
  add_custom_target(${OBJECTS}_module ALL DEPENDS "${MODULE}")
endfunction()

add_engine(scalar -DWT_USE_REFERENCE=1)
if(USE_SIMD)
  add_engine(simd -msimd128)
  add_engine(relaxed -msimd128 -mrelaxed-simd)
endif()
