# WASM_TORCH_ARCH_OPTIONS: compiler options for the instruction set of the native engine.
#
# WASM_TORCH_NATIVE_ARCH is a -march value, NONE for the compiler's baseline, or AUTO, which takes
# x86-64-v3 (AVX2, FMA) where this machine has it. Wheels for other machines are built with NONE.
set(WASM_TORCH_NATIVE_ARCH "AUTO" CACHE STRING "Instruction set of the native engine")

if(WASM_TORCH_NATIVE_ARCH STREQUAL "AUTO")
  include(CheckCSourceRuns)
  set(CMAKE_REQUIRED_FLAGS "-march=x86-64-v3")
  check_c_source_runs("
    int main(void) {
      __builtin_cpu_init();
      return !(__builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\") &&
               __builtin_cpu_supports(\"bmi2\"));
    }" WASM_TORCH_HAS_X86_64_V3)
  unset(CMAKE_REQUIRED_FLAGS)
  if(WASM_TORCH_HAS_X86_64_V3)
    set(WASM_TORCH_ARCH_OPTIONS -march=x86-64-v3)
  endif()
elseif(NOT WASM_TORCH_NATIVE_ARCH STREQUAL "NONE")
  set(WASM_TORCH_ARCH_OPTIONS "-march=${WASM_TORCH_NATIVE_ARCH}")
endif()
