/* attention against its scalar reference: shapes around the blocks, layouts, masks, heads. */
#include "attention/attention.h"
#include "layouts.h"

typedef enum mask_kind { NO_MASK, NUMBERS, BOOLEANS, MASK_KINDS } mask_kind;

typedef struct shape {
  wt_word batch, heads, key_heads, length, source, width, value_width;
} shape;

static wt_attention_sizes sizes_of(shape s) {
  return (wt_attention_sizes){.entries = s.batch * s.heads,
                              .heads = s.heads,
                              .group = s.heads / s.key_heads,
                              .length = s.length,
                              .source = s.source,
                              .width = s.width,
                              .value_width = s.value_width};
}

static wt_tensor tensor_of(check_random *random, int dtype, wt_word batch, wt_word heads,
                           wt_word rows, wt_word columns) {
  const wt_word size[] = {batch, heads, rows, columns};
  return layout_tensor(random, dtype, 4, size, layout_any(random));
}

/* A mask that may be one for all heads, entries, rows or keys. */
static wt_tensor mask_of(check_random *random, shape s, mask_kind kind) {
  if (kind == NO_MASK) return check_absent();
  const wt_word size[] = {s.batch, s.heads, s.length, s.source};
  wt_tensor mask = tensor_of(random, kind == BOOLEANS ? WT_BOOL : WT_FLOAT32, s.batch, s.heads,
                             s.length, s.source);
  check_fill(&mask, random, kind == BOOLEANS ? 0 : -3, kind == BOOLEANS ? 2 : 3);
  for (int64_t p = 0; p < mask.numel && kind == NUMBERS; p++)
    if (check_integer(random, 0, 3) == 0) check_set(&mask, p, -INFINITY);
  for (int d = 0; d < 4; d++)
    if (size[d] > 0 && check_integer(random, 0, 2) == 0) mask.stride[d] = 0;
  return mask;
}

static void compare(const wt_attention_args *args, shape s) {
  wt_attention_args expected = *args;
  expected.out.data = (wt_word)calloc((size_t)args->out.numel + 1, sizeof(float));
  for (int d = 3, stride = 1; d >= 0; stride *= (int)args->out.size[d], d--)
    expected.out.stride[d] = stride;
  const wt_attention_sizes sizes = sizes_of(s);
  CHECK(wt_attention_reference(&expected, &sizes) == WT_OK);
  CHECK(wt_attention(args) == WT_OK);
  int64_t wrong = 0;
  for (int64_t p = 0; p < args->out.numel; p++)
    wrong += !check_close(check_get(&args->out, p), check_get(&expected.out, p), 2e-5);
  CHECK(wrong == 0);
  free((void *)expected.out.data);
}

static void run_case(check_random *random, shape s, mask_kind kind, bool causal) {
  wt_attention_args args = {
      .size_bytes = sizeof args, .scale = check_uniform(random, -1, 1), .causal = causal};
  args.out = tensor_of(random, WT_FLOAT32, s.batch, s.heads, s.length, s.value_width);
  args.query = tensor_of(random, WT_FLOAT32, s.batch, s.heads, s.length, s.width);
  args.key = tensor_of(random, WT_FLOAT32, s.batch, s.key_heads, s.source, s.width);
  args.value = tensor_of(random, WT_FLOAT32, s.batch, s.key_heads, s.source, s.value_width);
  args.mask = mask_of(random, s, kind);
  check_fill(&args.query, random, -2, 2);
  check_fill(&args.key, random, -2, 2);
  check_fill(&args.value, random, -2, 2);
  compare(&args, s);
  layout_free(&args.out);
  layout_free(&args.query);
  layout_free(&args.key);
  layout_free(&args.value);
  if (kind != NO_MASK) layout_free(&args.mask);
}

TEST(attention_over_shapes_layouts_and_masks) {
  check_random random = {1};
  for (int round = 0; round < 240; round++) {
    const wt_word key_heads = check_integer(&random, 1, 3);
    const shape s = {check_integer(&random, 1, 2),
                     key_heads * check_integer(&random, 1, 2),
                     key_heads,
                     check_integer(&random, 1, 9),
                     check_integer(&random, 1, 30),
                     check_integer(&random, 1, 17),
                     check_integer(&random, 1, 17)};
    run_case(&random, s, round % MASK_KINDS, round / MASK_KINDS % 2);
  }
}

TEST(attention_over_several_blocks) {
  check_random random = {2};
  for (int round = 0; round < 6; round++) {
    run_case(&random, (shape){1, 2, 1, 130, 300, 8, 12}, round % MASK_KINDS, round / MASK_KINDS);
    run_case(&random, (shape){1, 2, 2, 65, 129, 33, 5}, round % MASK_KINDS, round / MASK_KINDS);
    run_case(&random, (shape){1, 2, 2, 200, 40, 5, 8}, round % MASK_KINDS, round / MASK_KINDS);
    run_case(&random, (shape){2, 4, 2, 2, 1100, 16, 16}, round % MASK_KINDS, round / MASK_KINDS);
  }
}

TEST(attention_rises_over_blocks) {
  /* Every block of keys brings a larger score, far above the ones before. */
  enum { SOURCE = 400 };
  float query[2] = {1, 1}, key[SOURCE], value[SOURCE], out[2];
  for (int i = 0; i < SOURCE; i++) key[i] = value[i] = (float)i;
  wt_attention_args args = {.size_bytes = sizeof args, .scale = 1};
  for (wt_word length = 1; length <= 2; length++) {
    args.out = CHECK_TENSOR(out, WT_FLOAT32, 1, length, 1);
    args.query = CHECK_TENSOR(query, WT_FLOAT32, 1, length, 1);
    args.key = CHECK_TENSOR(key, WT_FLOAT32, 1, SOURCE, 1);
    args.value = CHECK_TENSOR(value, WT_FLOAT32, 1, SOURCE, 1);
    args.mask = check_absent();
    CHECK(wt_attention(&args) == WT_OK);
    /* Weights fall by e from the last key down. */
    CHECK_CLOSE((double)out[length - 1], SOURCE - 1 - 1 / (exp(1) - 1), 1e-5);
  }
}

TEST(attention_special_values) {
  enum { LENGTH = 5, SOURCE = 3 };
  float query[LENGTH] = {0}, key[SOURCE] = {0}, value[SOURCE] = {1, 2, 3}, out[LENGTH];
  float mask[LENGTH][SOURCE] = {{-INFINITY, -INFINITY, -INFINITY},
                                {0, -INFINITY, 0},
                                {0, NAN, 0},
                                {0, INFINITY, 0},
                                {-3e38f, -3e38f, -3e38f}};
  const double expected[LENGTH] = {0, 2, NAN, NAN, 2};
  wt_attention_args args = {.size_bytes = sizeof args, .scale = 1};
  args.out = CHECK_TENSOR(out, WT_FLOAT32, 1, LENGTH, 1);
  args.query = CHECK_TENSOR(query, WT_FLOAT32, 1, LENGTH, 1);
  args.key = CHECK_TENSOR(key, WT_FLOAT32, 1, SOURCE, 1);
  args.value = CHECK_TENSOR(value, WT_FLOAT32, 1, SOURCE, 1);
  args.mask = CHECK_TENSOR(mask, WT_FLOAT32, 1, LENGTH, SOURCE);
  CHECK(wt_attention(&args) == WT_OK);
  for (int i = 0; i < LENGTH; i++) CHECK_CLOSE((double)out[i], expected[i], 1e-6);
}

TEST(attention_of_nothing) {
  float query[6] = {1, 2, 3, 4, 5, 6}, out[4] = {1, 1, 1, 1}, value[6] = {1, 2, 3, 4, 5, 6};
  wt_attention_args args = {.size_bytes = sizeof args, .scale = 1};
  args.mask = check_absent();
  args.out = CHECK_TENSOR(out, WT_FLOAT32, 1, 2, 2);
  args.query = CHECK_TENSOR(query, WT_FLOAT32, 1, 2, 3);
  args.key = CHECK_TENSOR(query, WT_FLOAT32, 1, 0, 3);
  args.value = CHECK_TENSOR(query, WT_FLOAT32, 1, 0, 2);
  CHECK(wt_attention(&args) == WT_OK);
  for (int i = 0; i < 4; i++) CHECK_CLOSE((double)out[i], 0, 0);
  args.query = CHECK_TENSOR(query, WT_FLOAT32, 1, 2, 0); /* all scores are 0 */
  args.key = CHECK_TENSOR(query, WT_FLOAT32, 1, 3, 0);
  args.value = CHECK_TENSOR(value, WT_FLOAT32, 1, 3, 2);
  CHECK(wt_attention(&args) == WT_OK);
  for (int i = 0; i < 4; i++) CHECK_CLOSE((double)out[i], i % 2 == 0 ? 3 : 4, 1e-6);
}

TEST(attention_rejects_bad_arguments) {
  float x[24] = {0};
  const wt_tensor good = CHECK_TENSOR(x, WT_FLOAT32, 2, 3, 4);
  const wt_attention_args args = {sizeof args, good, good, good, good, check_absent(), 1, 0};
  wt_attention_args bad = args;
  CHECK(wt_attention(&args) == WT_OK);
  bad.query = CHECK_TENSOR(x, WT_FLOAT32, 2, 2, 4);
  CHECK(wt_attention(&bad) == WT_BAD_ARGUMENT);
  bad = args;
  bad.key = CHECK_TENSOR(x, WT_FLOAT32, 2, 3, 3);
  CHECK(wt_attention(&bad) == WT_BAD_ARGUMENT);
  bad = args;
  bad.value = CHECK_TENSOR(x, WT_FLOAT32, 1, 3, 4);
  CHECK(wt_attention(&bad) == WT_BAD_ARGUMENT);
  bad = args;
  bad.mask = CHECK_TENSOR(x, WT_FLOAT32, 2, 3, 4);
  CHECK(wt_attention(&bad) == WT_BAD_ARGUMENT);
  bad.mask = CHECK_TENSOR(x, WT_INT32, 2, 3, 3);
  CHECK(wt_attention(&bad) == WT_UNSUPPORTED_DTYPE);
  bad = args;
  bad.out = CHECK_TENSOR(x, WT_FLOAT64, 2, 3, 4);
  CHECK(wt_attention(&bad) == WT_UNSUPPORTED_DTYPE);
  bad.out = CHECK_TENSOR(x, WT_FLOAT32, 3, 4);
  CHECK(wt_attention(&bad) == WT_BAD_ARGUMENT);
}
