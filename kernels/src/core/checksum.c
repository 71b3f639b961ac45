/* CRC-32 as in zlib and IEEE 802.3. Hosts check the weights of model files with it while these
 * arrive.
 *
 * Short pieces go through tables, eight bytes at a time (Kounavis & Berry 2005, "slicing by 8").
 * Long ones are made short first, by exclusive-or alone (Kadatch & Russell 2024, "Chorba"): a
 * message is a polynomial over GF(2), and its checksum stays the same when a multiple of the CRC's
 * polynomial is added. One multiple has four terms,
 *
 *     x^(8*3006) + x^(8*2866) + x^(8*2215) + 1,
 *
 * so a byte may be taken out when it is added to those 140, 791 and 3006 places later. Applied from
 * the first byte to the last but 3006, that leaves as many bytes for the tables.
 */
#include <stdbool.h>
#include <string.h>

#include "core/core.h"
#include "simd.h"

enum { SLICES = 8 };

static uint32_t tables[SLICES][256];

static void make_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    tables[0][byte] = crc;
  }
  for (int slice = 1; slice < SLICES; slice++) {
    for (int byte = 0; byte < 256; byte++) {
      uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8) ^ tables[0][before & 255];
    }
  }
}

static uint32_t eight_bytes(uint32_t crc, const uint8_t *bytes) {
  uint32_t low, high;
  memcpy(&low, bytes, 4);
  memcpy(&high, bytes + 4, 4);
  low ^= crc;
  return tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^
         tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^
         tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
}

/* The register after `count` more bytes: the checksum's complement. */
static uint32_t by_tables(uint32_t state, const uint8_t *bytes, size_t count) {
  const uint8_t *end = bytes + count;
  for (; end - bytes >= 8; bytes += 8) state = eight_bytes(state, bytes);
  for (; bytes < end; bytes++) state = state >> 8 ^ tables[0][(state ^ *bytes) & 255];
  return state;
}

#if !WT_USE_REFERENCE
enum {
  NEAR = 140,
  MIDDLE = 791,
  FAR = 3006,
  STEP = 64,         /* at most NEAR: no byte of a step is added to another of it */
  BLOCK = 256 * STEP /* with FAR bytes before it, it stays in the first-level cache */
};

static void add(uint8_t *to, const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] ^= bytes[i];
}

/* Takes out `count` bytes, a multiple of STEP: sums[i] = bytes[i] and what was added to it. The
 * FAR bytes before `sums` are those taken out before. */
static void take_out(uint8_t *sums, const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i += STEP) {
    WT_UNROLL for (size_t j = i; j < i + STEP; j += 16) {
      wt_u64x2 sum = wt_u64x2_load(bytes + j) ^ wt_u64x2_load(sums + j - NEAR) ^
                     wt_u64x2_load(sums + j - MIDDLE) ^ wt_u64x2_load(sums + j - FAR);
      wt_u64x2_store(sums + j, sum);
    }
  }
}

/* The same as by_tables. */
static uint32_t by_taking_out(uint32_t state, const uint8_t *bytes, size_t count) {
  uint8_t window[FAR + BLOCK] = {0};
  /* The state belongs to the first four bytes, to which the first four of the window are added. */
  memcpy(window, &state, sizeof state);
  const uint8_t *end = bytes + count;
  while (end - bytes >= FAR + STEP) {
    size_t out = (size_t)(end - bytes - FAR) / STEP * STEP;
    if (out > BLOCK) out = BLOCK;
    take_out(window + FAR, bytes, out);
    memmove(window, window + out, FAR);
    bytes += out;
  }
  /* Of the last FAR bytes taken out, all reach FAR bytes further, some also the shorter ways. */
  add(window, window + FAR - NEAR, NEAR);
  add(window, window + FAR - MIDDLE, MIDDLE);
  add(window, bytes, FAR);
  state = by_tables(0, window, FAR);
  return by_tables(state, bytes + FAR, (size_t)(end - bytes) - FAR);
}
#endif

WT_EXPORT("wt_crc32") uint32_t wt_crc32(wt_word address, wt_word count, uint32_t crc) {
  if (tables[0][1] == 0) make_tables();
  const uint8_t *bytes = (const uint8_t *)address;
#if !WT_USE_REFERENCE
  /* Below that, the tables are as fast. */
  if (count >= 4 * FAR) return ~by_taking_out(~crc, bytes, (size_t)count);
#endif
  return ~by_tables(~crc, bytes, (size_t)count);
}
