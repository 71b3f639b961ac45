/* CRC-32 as in zlib and IEEE 802.3, eight bytes at a time (Kounavis & Berry 2005, "slicing by 8").
 * Hosts check the weights of model files with it while these arrive. */
#include <stdbool.h>
#include <string.h>

#include "core/core.h"

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

WT_EXPORT("wt_crc32") uint32_t wt_crc32(wt_word address, wt_word count, uint32_t crc) {
  if (tables[0][1] == 0) make_tables();
  const uint8_t *bytes = (const uint8_t *)address, *end = bytes + count;
  crc = ~crc;
  for (; end - bytes >= 8; bytes += 8) crc = eight_bytes(crc, bytes);
  for (; bytes < end; bytes++) crc = crc >> 8 ^ tables[0][(crc ^ *bytes) & 255];
  return ~crc;
}
