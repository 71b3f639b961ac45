/* Reads 16 MiB and writes as many: the rate of memory that pointwise kernels are held against. */
#include <wasm_simd128.h>

enum { VECTORS = 1 << 20 }; /* of 16 bytes: more than a core's own caches hold */
v128_t source[VECTORS], target[VECTORS];

void copy_loop(void) {
  for (int i = 0; i < VECTORS; i += 4) {
    v128_t a = source[i], b = source[i + 1], c = source[i + 2], d = source[i + 3];
    target[i] = a, target[i + 1] = b, target[i + 2] = c, target[i + 3] = d;
    __asm__ volatile("" ::: "memory"); /* not a call of memcpy */
  }
}
