# The engine as objects linked into the extension `_C`, and the kernels' test program.

# A wheel built here runs here, so by default the engine may use what this machine has.
include(cmake/native_arch.cmake)

find_package(Threads REQUIRED)

# Objects, not an archive: every kernel belongs to the engine, and the test program registers its
# cases by constructors.
add_library(wasm_torch_engine OBJECT ${ENGINE_SOURCES})
target_include_directories(wasm_torch_engine PUBLIC ${ENGINE_INCLUDES})
target_compile_definitions(wasm_torch_engine PUBLIC ${ENGINE_DEFINITIONS})
target_compile_options(wasm_torch_engine PRIVATE ${ENGINE_OPTIONS} ${WASM_TORCH_ARCH_OPTIONS})
target_link_libraries(wasm_torch_engine PUBLIC Threads::Threads m)
set_target_properties(wasm_torch_engine PROPERTIES POSITION_INDEPENDENT_CODE ON)
if(WASM_TORCH_SANITIZE)
  target_compile_options(wasm_torch_engine PUBLIC
    -fsanitize=${WASM_TORCH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1)
  target_link_options(wasm_torch_engine PUBLIC -fsanitize=${WASM_TORCH_SANITIZE})
endif()

if(WASM_TORCH_BUILD_TESTS)
  add_executable(kernel_tests ${TEST_SOURCES})
  target_link_libraries(kernel_tests PRIVATE wasm_torch_engine)
  target_compile_options(kernel_tests PRIVATE -Wall -Wextra ${WASM_TORCH_ARCH_OPTIONS})
  target_include_directories(kernel_tests PRIVATE "${PROJECT_SOURCE_DIR}/kernels/tests")
endif()

if(NOT WASM_TORCH_SANITIZE)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
  add_library(_C MODULE ${EXTENSION_SOURCES})
  target_link_libraries(_C PRIVATE wasm_torch_engine)
  target_include_directories(_C SYSTEM PRIVATE ${Python_INCLUDE_DIRS})
  target_include_directories(_C PRIVATE "${PROJECT_SOURCE_DIR}/src/wasm_torch/_C")
  # The limited API of 3.11: one binary serves that version and every later one.
  target_compile_definitions(_C PRIVATE Py_LIMITED_API=0x030b0000)
  target_compile_options(_C PRIVATE -O2 -Wall -Wextra -fvisibility=hidden)
  set_target_properties(_C PROPERTIES PREFIX "" OUTPUT_NAME "_C" SUFFIX ".abi3.so")
  if(APPLE)
    target_link_options(_C PRIVATE -undefined dynamic_lookup)
  endif()
  if(SKBUILD)
    install(TARGETS _C LIBRARY DESTINATION wasm_torch)
    include(cmake/desktop_engines.cmake)
  else()
    # In the source tree, so that PYTHONPATH=src works during development.
    set_target_properties(_C PROPERTIES
      LIBRARY_OUTPUT_DIRECTORY "${PROJECT_SOURCE_DIR}/src/wasm_torch")
  endif()
endif()
