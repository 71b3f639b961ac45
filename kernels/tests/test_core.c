/* Conversions of the 16-bit floats, scalar loads, calls by kernel number, and error details. */
#include "check.h"

/* ---- 16-bit floats, from their definitions --------------------------------------------------- */
static double small_float_value(uint16_t bits, int exponent_bits, int fraction_bits) {
  int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
  int fraction = bits & ((1 << fraction_bits) - 1);
  int bias = (1 << (exponent_bits - 1)) - 1;
  double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * ldexp(fraction, 1 - bias - fraction_bits);
  return sign * ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

static bool same_float(double a, double b) {
  return isnan(b) ? isnan(a) : a == b && signbit(a) == signbit(b);
}

typedef struct small_float {
  int exponent_bits, fraction_bits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(float);
} small_float;

static const small_float half = {5, 10, wt_half_to_float, wt_float_to_half};
static const small_float bfloat16 = {8, 7, wt_bfloat16_to_float, wt_float_to_bfloat16};

static double value_of(const small_float *type, uint16_t bits) {
  return small_float_value(bits, type->exponent_bits, type->fraction_bits);
}

static void check_all_values(const small_float *type) {
  for (int i = 0; i < 65536; i++) {
    uint16_t bits = (uint16_t)i;
    double expected = value_of(type, bits);
    float wide = type->widen(bits);
    CHECK(same_float((double)wide, expected));
    if (isnan(expected)) {
      CHECK(isnan(value_of(type, type->narrow(wide))));
    } else {
      CHECK(type->narrow(wide) == bits);
    }
  }
}

/* Between two neighbours of the narrow type: the midpoint goes to the even one, the floats beside
 * it to the nearer one. */
static void check_rounding(const small_float *type) {
  uint16_t infinity = (uint16_t)(((1 << type->exponent_bits) - 1) << type->fraction_bits);
  for (uint16_t low = 0; low < infinity; low++) {
    uint16_t high = (uint16_t)(low + 1), even = low & 1 ? high : low;
    /* Infinity rounds as if it were the next number up. */
    double step = value_of(type, low) - (low ? value_of(type, (uint16_t)(low - 1)) : 0);
    double top = high == infinity ? value_of(type, low) + step : value_of(type, high);
    double middle_exact = value_of(type, low) / 2 + top / 2;
    float middle = (float)middle_exact;
    if ((double)middle != middle_exact) continue; /* below float32's own subnormals */
    for (int sign = 0; sign <= 1; sign++) {
      float unit = sign ? -1.0f : 1.0f;
      uint16_t flag = sign ? 0x8000 : 0;
      CHECK(type->narrow(unit * middle) == (uint16_t)(even | flag));
      CHECK(type->narrow(unit * nextafterf(middle, 0)) == (uint16_t)(low | flag));
      CHECK(type->narrow(unit * nextafterf(middle, INFINITY)) == (uint16_t)(high | flag));
    }
  }
  CHECK(type->narrow(INFINITY) == infinity);
  CHECK(type->narrow(3.4e38f) == infinity || type == &bfloat16);
}

TEST(half_all_values) { check_all_values(&half); }
TEST(half_rounds_to_nearest_even) { check_rounding(&half); }
TEST(bfloat16_all_values) { check_all_values(&bfloat16); }
TEST(bfloat16_rounds_to_nearest_even) { check_rounding(&bfloat16); }

TEST(dtype_sizes) {
#define X(NAME, name, code, ctype, bytes) CHECK(wt_dtype_size(WT_##NAME) == sizeof(ctype));
  WT_DTYPES(X)
#undef X
  CHECK(wt_dtype_size(8) == 0);
  CHECK(wt_dtype_size(-1) == 0);
}

/* ---- calls by number ------------------------------------------------------------------------- */
static const int64_t *last_detail(void) { return (const int64_t *)wt_error_detail(); }

TEST(run_noop) {
  wt_noop_args args = {.size_bytes = sizeof args, .count = 3};
  CHECK(wt_run(WT_KERNEL_noop, (wt_word)&args) == WT_OK);
  CHECK(wt_submit(WT_KERNEL_noop, sizeof args, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) ==
        WT_OK);
}

TEST(submit_writes_the_argument_slot) {
  const wt_word *slot = (const wt_word *)wt_argument_slot();
  wt_submit(WT_KERNEL_noop, sizeof(wt_noop_args), 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
            15);
  for (int i = 2; i < WT_SUBMIT_WORDS; i++) CHECK(slot[i] == i);
}

TEST(run_takes_a_shorter_struct) {
  wt_word args[2] = {sizeof(wt_word), 1 << 30}; /* without `count`, which then is 0 */
  CHECK(wt_run(WT_KERNEL_noop, (wt_word)args) == WT_OK);
}

TEST(run_refuses_a_longer_struct) {
  wt_word args[3] = {sizeof args, 0, 0};
  CHECK(wt_run(WT_KERNEL_noop, (wt_word)args) == WT_BAD_ARGUMENT);
  CHECK(last_detail()[1] == (int64_t)sizeof args);
}

TEST(run_refuses_unknown_kernels) {
  wt_noop_args args = {.size_bytes = sizeof args};
  CHECK(wt_run(WT_KERNEL_COUNT, (wt_word)&args) == WT_UNKNOWN_KERNEL);
  CHECK(last_detail()[0] == WT_KERNEL_COUNT);
  CHECK(wt_run(-1, (wt_word)&args) == WT_UNKNOWN_KERNEL);
  CHECK(last_detail()[0] == -1);
}

TEST(first_failure_wins_until_read) {
  last_detail();
  CHECK(wt_fail(WT_INDEX_OUT_OF_RANGE, 7, 1, 5) == WT_INDEX_OUT_OF_RANGE);
  CHECK(wt_fail(WT_INDEX_OUT_OF_RANGE, 9, 1, 5) == WT_INDEX_OUT_OF_RANGE);
  CHECK(last_detail()[0] == 7 && last_detail()[1] == 1 && last_detail()[2] == 5);
  wt_fail(WT_BAD_ARGUMENT, 3, 4, 0);
  CHECK(last_detail()[0] == 3 && last_detail()[1] == 4);
}

TEST(products_beyond_the_address_space_are_out_of_memory) {
  last_detail();
  const uint64_t sides[][2] = {
      {UINT64_MAX, 2}, {(uint64_t)1 << 40, (uint64_t)1 << 40}, {(uint64_t)SIZE_MAX / 4 + 1, 4}};
  for (int i = 0; i < 3; i++) {
    CHECK(wt_alloc_many(sides[i][0], sides[i][1]) == NULL);
    CHECK(last_detail()[0] > 0);
  }
  void *block = wt_alloc_many(3, 5);
  CHECK(block != NULL);
  wt_free(block);
}

/* ---- weights as files keep them ---------------------------------------------------------------
 */
static bool unpacks_in_place(wt_word dtype, float (*widen)(uint16_t), int count) {
  enum { MOST = 65536 };
  uint32_t *wide = malloc((MOST + 1) * sizeof *wide);
  uint16_t *narrow = (uint16_t *)(wide + count) - count; /* both end together */
  for (int i = 0; i < count; i++) narrow[i] = (uint16_t)(MOST - count + i);
  wide[count] = 0x12345678u;
  wt_unpack((wt_word)wide, (wt_word)narrow, count, dtype);
  bool same = wide[count] == 0x12345678u;
  for (int i = 0; i < count; i++) {
    float got, expected = widen((uint16_t)(MOST - count + i));
    memcpy(&got, wide + i, sizeof got);
    same = same && (isnan(expected) ? isnan(got) : memcmp(&got, &expected, sizeof got) == 0);
  }
  free(wide);
  return same;
}

TEST(half_weights_unpack_over_themselves) {
  const int counts[] = {0, 1, 2, 15, 16, 17, 33, 1000, 65536};
  for (int i = 0; i < 9; i++) {
    CHECK(unpacks_in_place(WT_FLOAT16, wt_half_to_float, counts[i]));
    CHECK(unpacks_in_place(WT_BFLOAT16, wt_bfloat16_to_float, counts[i]));
  }
}

TEST(other_weights_move) {
  int64_t data[] = {1, 2, 3, 4, 5};
  wt_unpack((wt_word)data, (wt_word)(data + 1), 4, WT_INT64);
  CHECK(data[0] == 2 && data[3] == 5 && data[4] == 5);
  wt_unpack((wt_word)(data + 1), (wt_word)data, 3, WT_INT64);
  CHECK(data[0] == 2 && data[1] == 2 && data[3] == 4);
}

/* ---- the checksum, bit by bit, from its definition --------------------------------------------
 */
static uint32_t bitwise_crc32(const uint8_t *bytes, int64_t count, uint32_t crc) {
  crc = ~crc;
  for (int64_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

TEST(crc32_is_what_its_definition_says_in_pieces_of_any_size) {
  enum { BYTES = 80000 };
  check_random random = {11};
  uint8_t *bytes = wt_alloc(BYTES);
  for (int i = 0; i < BYTES; i++) bytes[i] = (uint8_t)check_next(&random);
  CHECK(wt_crc32((wt_word) "123456789", 9, 0) == 0xcbf43926u);
  const int64_t sizes[] = {0, 1, 7, 8, 3006, 12023, 12024, 12025, 19390, 19391, 35774, 75000};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    for (int turn = 0; turn < 4; turn++) {
      int64_t offset = check_integer(&random, 0, BYTES - sizes[s]);
      uint32_t before = turn ? (uint32_t)check_next(&random) : 0;
      uint32_t expected = bitwise_crc32(bytes + offset, sizes[s], before);
      CHECK(wt_crc32((wt_word)(bytes + offset), (wt_word)sizes[s], before) == expected);
    }
  }
  /* One bit anywhere changes it. */
  uint32_t intact = wt_crc32((wt_word)bytes, BYTES, 0);
  for (int turn = 0; turn < 40; turn++) {
    int64_t at = check_integer(&random, 0, BYTES - 1);
    bytes[at] ^= 16;
    CHECK(wt_crc32((wt_word)bytes, BYTES, 0) != intact);
    bytes[at] ^= 16;
  }
  wt_free(bytes);
}
