/* lstm_sequence and gru_sequence against their scalar reference. */
#include "layouts.h"
#include "recurrent/sequence.h"

static wt_tensor random_tensor(check_random *random, int ndim, const wt_word *size) {
  wt_tensor tensor = layout_tensor(random, WT_FLOAT32, ndim, size, layout_any(random));
  check_fill(&tensor, random, -2, 2);
  return tensor;
}

static int run_kernel(const wt_sequence *s) {
  if (s->gates == 4) {
    const wt_lstm_sequence_args args = {sizeof args,  s->out,    s->last_hidden, s->last_cell,
                                        s->projected, s->hidden, s->cell,        s->weight,
                                        s->bias,      s->reverse};
    return wt_lstm_sequence(&args);
  }
  const wt_gru_sequence_args args = {sizeof args, s->out,    s->last_hidden, s->projected,
                                     s->hidden,   s->weight, s->bias,        s->reverse};
  return wt_gru_sequence(&args);
}

static wt_tensor dense_like(const wt_tensor *tensor) {
  return check_tensor(calloc((size_t)tensor->numel + 1, sizeof(float)), WT_FLOAT32,
                      (int)tensor->ndim, tensor->size);
}

static void compare(const wt_tensor *got, const wt_tensor *expected) {
  int64_t wrong = 0;
  for (int64_t p = 0; p < got->numel; p++)
    wrong += !check_close(check_get(got, p), check_get(expected, p), 1e-5);
  CHECK(wrong == 0);
}

static void run_case(check_random *random, wt_word gates, wt_word steps, wt_word rows,
                     wt_word width, bool bias, bool reverse) {
  const wt_word state[] = {rows, width}, weight[] = {gates * width, width};
  const wt_word projected[] = {steps, rows, gates * width}, out[] = {steps, rows, width};
  const bool cell = gates == 4;
  wt_sequence s = {.gates = gates, .reverse = reverse};
  s.out = random_tensor(random, 3, out);
  s.last_hidden = random_tensor(random, 2, state);
  s.last_cell = cell ? random_tensor(random, 2, state) : check_absent();
  s.projected = random_tensor(random, 3, projected);
  s.hidden = random_tensor(random, 2, state);
  s.cell = cell ? random_tensor(random, 2, state) : check_absent();
  s.weight = random_tensor(random, 2, weight);
  for (int64_t p = 0; p < s.weight.numel; p++)
    check_set(&s.weight, p, check_get(&s.weight, p) / (2 * sqrt((double)width)));
  s.bias = bias ? random_tensor(random, 1, weight) : check_absent();
  wt_sequence expected = s;
  expected.out = dense_like(&s.out);
  expected.last_hidden = dense_like(&s.last_hidden);
  if (cell) expected.last_cell = dense_like(&s.last_cell);
  CHECK(wt_sequence_reference(&expected) == WT_OK);
  CHECK(run_kernel(&s) == WT_OK);
  compare(&s.out, &expected.out);
  compare(&s.last_hidden, &expected.last_hidden);
  if (cell) compare(&s.last_cell, &expected.last_cell);
  wt_tensor *const all[] = {
      &s.out,    &s.last_hidden, &s.last_cell,  &s.projected,          &s.hidden,          &s.cell,
      &s.weight, &s.bias,        &expected.out, &expected.last_hidden, &expected.last_cell};
  for (int i = 0; i < 11; i++)
    if (wt_is_present(all[i])) layout_free(all[i]);
}

TEST(sequence_over_shapes_and_layouts) {
  check_random random = {1};
  for (int round = 0; round < 160; round++)
    run_case(&random, 3 + round % 2, check_integer(&random, 0, 6), check_integer(&random, 1, 9),
             check_integer(&random, 1, 19), round / 2 % 2, round / 4 % 2);
}

TEST(sequence_one_row_and_many) {
  check_random random = {2};
  for (wt_word gates = 3; gates <= 4; gates++) {
    run_case(&random, gates, 12, 1, 67, true, false);
    run_case(&random, gates, 3, 37, 40, true, true);
    run_case(&random, gates, 4, 3, 130, false, false);
  }
}

TEST(sequence_large_values) {
  /* The gates saturate without NaN. */
  float projected[8] = {1e30f, 1e30f, 1e30f, 1e30f, -1e30f, -1e30f, -1e30f, -1e30f};
  float state[2] = {0, 0}, weight[4] = {0}, out[2], hidden[1], cell[1];
  const wt_lstm_sequence_args args = {sizeof args,
                                      CHECK_TENSOR(out, WT_FLOAT32, 2, 1, 1),
                                      CHECK_TENSOR(hidden, WT_FLOAT32, 1, 1),
                                      CHECK_TENSOR(cell, WT_FLOAT32, 1, 1),
                                      CHECK_TENSOR(projected, WT_FLOAT32, 2, 1, 4),
                                      CHECK_TENSOR(state, WT_FLOAT32, 1, 1),
                                      CHECK_TENSOR(state, WT_FLOAT32, 1, 1),
                                      CHECK_TENSOR(weight, WT_FLOAT32, 4, 1),
                                      check_absent(),
                                      0};
  CHECK(wt_lstm_sequence(&args) == WT_OK);
  CHECK_CLOSE((double)out[0], tanh(1), 1e-6);
  CHECK_CLOSE((double)out[1], 0, 1e-6);
  CHECK_CLOSE((double)cell[0], 0, 1e-6);
}

TEST(sequence_rejects_bad_arguments) {
  float x[24] = {0};
  const wt_tensor out = CHECK_TENSOR(x, WT_FLOAT32, 2, 1, 2);
  const wt_tensor projected = CHECK_TENSOR(x, WT_FLOAT32, 2, 1, 6);
  const wt_tensor state = CHECK_TENSOR(x, WT_FLOAT32, 1, 2);
  const wt_tensor weight = CHECK_TENSOR(x, WT_FLOAT32, 6, 2);
  wt_gru_sequence_args args = {sizeof args, out,    state,          projected,
                               state,       weight, check_absent(), 0};
  CHECK(wt_gru_sequence(&args) == WT_OK);
  args.weight = CHECK_TENSOR(x, WT_FLOAT32, 8, 2);
  CHECK(wt_gru_sequence(&args) == WT_BAD_ARGUMENT);
  args.weight = weight;
  args.bias = CHECK_TENSOR(x, WT_FLOAT32, 2);
  CHECK(wt_gru_sequence(&args) == WT_BAD_ARGUMENT);
  args.bias = check_absent();
  args.hidden = CHECK_TENSOR(x, WT_FLOAT64, 1, 2);
  CHECK(wt_gru_sequence(&args) == WT_BAD_ARGUMENT);
  args.out = CHECK_TENSOR(x, WT_FLOAT64, 2, 1, 2);
  CHECK(wt_gru_sequence(&args) == WT_UNSUPPORTED_DTYPE);
  args.out = state;
  CHECK(wt_gru_sequence(&args) == WT_BAD_ARGUMENT);
}
