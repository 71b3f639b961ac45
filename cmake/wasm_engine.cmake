# The engine as bare WebAssembly modules: compiled by emcc, linked by wasm-ld without Emscripten's
# JavaScript. Each variant becomes engine/<variant>.wasm in the build folder.
if(NOT USE_THREADS)
  message(STATUS "USE_THREADS=OFF: the pool stays empty; the memory is shared all the same")
endif()

get_filename_component(EMSCRIPTEN_BIN "${CMAKE_C_COMPILER}" DIRECTORY)
find_program(EM_CONFIG em-config HINTS "${EMSCRIPTEN_BIN}" REQUIRED)
execute_process(COMMAND "${EM_CONFIG}" LLVM_ROOT OUTPUT_VARIABLE LLVM_ROOT
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${EM_CONFIG}" CACHE OUTPUT_VARIABLE EMSCRIPTEN_CACHE
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
find_program(WASM_LD NAMES wasm-ld HINTS "${LLVM_ROOT}" NO_DEFAULT_PATH REQUIRED)

set(SYSROOT_LIB "${EMSCRIPTEN_CACHE}/sysroot/lib/wasm32-emscripten")
if(NOT EXISTS "${SYSROOT_LIB}/libc-mt.a")
  find_program(EMBUILDER embuilder HINTS "${EMSCRIPTEN_BIN}" REQUIRED)
  execute_process(COMMAND "${EMBUILDER}" build libc-mt libcompiler_rt-mt COMMAND_ERROR_IS_FATAL ANY)
endif()

set(LINK_OPTIONS
  --no-entry --import-memory --shared-memory --max-memory=4294967296 --gc-sections
  --export-table --growable-table --strip-all -z stack-size=262144 --stack-first
  # What a worker needs to become a thread, and a host to restore after a trap.
  --export=__stack_pointer --export=__wasm_init_tls --export=__tls_size --export=__tls_align
  --export=__heap_base)
set(LINK_LIBRARIES "-L${SYSROOT_LIB}" -lc-mt -lcompiler_rt-mt)

# add_engine(NAME [compiler options...]): the objects and the module of one variant, and its tests.
function(add_engine NAME)
  add_engine_objects(objects_${NAME} ${ARGN})
  set(MODULE "${CMAKE_BINARY_DIR}/engine/${NAME}.wasm")
  set(OBJECTS "$<TARGET_OBJECTS:objects_${NAME}>")
  add_custom_command(
    OUTPUT "${MODULE}"
    COMMAND "${WASM_LD}" -o "${MODULE}" ${OBJECTS} ${LINK_OPTIONS} ${LINK_LIBRARIES}
    DEPENDS ${OBJECTS} COMMAND_EXPAND_LISTS VERBATIM COMMENT "Linking engine/${NAME}.wasm")
  add_custom_target(engine_${NAME} ALL DEPENDS "${MODULE}")
  # Make, unlike Ninja, knows no rule for another target's objects: they must be there already.
  add_dependencies(engine_${NAME} objects_${NAME})
  if(WASM_TORCH_BUILD_TESTS)
    add_kernel_tests(${NAME} ${ARGN})
  endif()
endfunction()

function(add_engine_objects TARGET)
  add_library(${TARGET} OBJECT ${ENGINE_SOURCES})
  target_include_directories(${TARGET} PUBLIC ${ENGINE_INCLUDES})
  target_compile_definitions(${TARGET} PRIVATE ${ENGINE_DEFINITIONS})
  target_compile_options(${TARGET} PRIVATE -pthread ${ENGINE_OPTIONS} ${ARGN})
endfunction()

# A program for Node with Emscripten's own runtime, whose threads are then pthreads: WT_HOSTED, with
# which nothing is exported either (Emscripten's script cannot name "gemm@1").
function(add_kernel_tests NAME)
  add_engine_objects(hosted_${NAME} ${ARGN} -DWT_HOSTED=1)
  add_executable(kernel_tests_${NAME} ${TEST_SOURCES} $<TARGET_OBJECTS:hosted_${NAME}>)
  target_include_directories(kernel_tests_${NAME} PRIVATE
    ${ENGINE_INCLUDES} "${PROJECT_SOURCE_DIR}/kernels/tests")
  target_compile_options(kernel_tests_${NAME} PRIVATE
    -pthread -Wall -Wextra ${ARGN} -DWT_HOSTED=1)
  target_link_options(kernel_tests_${NAME} PRIVATE
    -pthread -sPTHREAD_POOL_SIZE=8 -sALLOW_MEMORY_GROWTH -sINITIAL_MEMORY=64MB -sEXIT_RUNTIME
    -sENVIRONMENT=node,worker -sSTACK_SIZE=1MB -Wno-pthreads-mem-growth)
  # Node reads .js as the module type of the nearest package.json; .cjs says it itself.
  set_target_properties(kernel_tests_${NAME} PROPERTIES SUFFIX ".cjs")
endfunction()

file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/engine")

add_engine(scalar -DWT_USE_REFERENCE=1)
if(USE_SIMD)
  add_engine(simd -msimd128)
  add_engine(relaxed -msimd128 -mrelaxed-simd)
endif()
