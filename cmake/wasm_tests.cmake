# The kernels' test program for Node, once for each variant of the engine: the same sources with
# Emscripten's own runtime (WT_HOSTED), whose threads stand in for the host's workers.
function(add_kernel_tests NAME)
  add_executable(kernel_tests_${NAME} ${ENGINE_SOURCES} ${TEST_SOURCES})
  target_include_directories(kernel_tests_${NAME} PRIVATE ${ENGINE_INCLUDES}
                             "${PROJECT_SOURCE_DIR}/kernels/tests")
  target_compile_definitions(kernel_tests_${NAME} PRIVATE ${ENGINE_DEFINITIONS} WT_HOSTED=1)
  target_compile_options(kernel_tests_${NAME} PRIVATE ${ENGINE_OPTIONS} -pthread ${ARGN})
  # The program runs in a worker, so that it may block; four more threads are there from the start.
  target_link_options(kernel_tests_${NAME} PRIVATE -pthread -O2 -sPROXY_TO_PTHREAD
                      -sPTHREAD_POOL_SIZE=5 -sEXIT_RUNTIME=1 -sINITIAL_MEMORY=1024MB
                      -sSTACK_SIZE=1MB -sDEFAULT_PTHREAD_STACK_SIZE=1MB -sENVIRONMENT=node,worker
                      -sAUTO_NATIVE_LIBRARIES=0)
endfunction()

add_kernel_tests(scalar -DWT_USE_REFERENCE=1)
if(USE_SIMD)
  add_kernel_tests(simd -msimd128)
  add_kernel_tests(relaxed -msimd128 -mrelaxed-simd)
endif()
