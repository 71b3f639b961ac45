/* pointwise_program against the kernels unary, binary and ternary, one call a step: to the bit.
 * Those stand beside their own references in test_pointwise.c. */
#include "layouts.h"

enum { UNARY, BINARY, TERNARY };

typedef struct script {
  int32_t code[WT_PROGRAM_STEPS][WT_STEP_WORDS];
  double parameters[4];
  wt_word steps;
  wt_tensor inputs[WT_PROGRAM_INPUTS];
  int input_count;
} script;

static int run_script(const script *s, wt_tensor out) {
  wt_pointwise_program_args args = {.size_bytes = sizeof args, .out = out};
  wt_tensor *inputs = &args.in0;
  for (int k = 0; k < WT_PROGRAM_INPUTS; k++) {
    inputs[k] = k < s->input_count ? s->inputs[k] : check_absent();
  }
  args.program = CHECK_TENSOR(s->code, WT_INT32, s->steps, WT_STEP_WORDS);
  args.parameters = CHECK_TENSOR(s->parameters, WT_FLOAT64, 4);
  return wt_pointwise_program(&args);
}

/* ---- a program, step by step ---------------------------------------------------------------- */
typedef struct machine {
  const script *script;
  wt_tensor registers[WT_PROGRAM_REGISTERS]; /* dense, of out's shape; data 0: not written */
} machine;

static wt_tensor operand_of(const machine *m, int32_t code) {
  if (code < 0) return check_absent();
  return code < WT_PROGRAM_INPUTS ? m->script->inputs[code]
                                  : m->registers[code - WT_PROGRAM_INPUTS];
}

/* A dense tensor of the size of `out`. */
static wt_tensor fresh(wt_tensor out, int dtype) {
  return layout_tensor(&(check_random){1}, dtype, (int)out.ndim, out.size, LAYOUT_CONTIGUOUS);
}

static wt_tensor filled(wt_tensor out, double value) {
  wt_tensor tensor = fresh(out, WT_FLOAT32);
  for (int64_t p = 0; p < tensor.numel; p++) check_set(&tensor, p, (float)value);
  return tensor;
}

static int run_one(const machine *m, const int32_t *code, wt_tensor out) {
  const double *parameters = m->script->parameters;
  double p0 = parameters[code[6]], p1 = parameters[code[7]];
  wt_tensor a = operand_of(m, code[3]);
  if (code[0] == UNARY) {
    return wt_unary(&(wt_unary_args){sizeof(wt_unary_args), out, a, code[1], p0, p1});
  }
  wt_tensor b = operand_of(m, code[4]);
  if (code[0] == BINARY) {
    int mode = code[3] < 0 ? 2 : code[4] < 0 ? 1 : 0;
    double number = mode == 0 ? 0 : parameters[-1 - code[mode == 1 ? 4 : 3]];
    wt_binary_args args = {sizeof args, out, a, b, code[1], mode, {number, 0}, p0};
    return wt_binary(&args);
  }
  wt_tensor number = filled(out, code[5] < 0 ? parameters[-1 - code[5]] : 0);
  wt_tensor c = code[5] < 0 ? number : operand_of(m, code[5]);
  int status = wt_ternary(&(wt_ternary_args){sizeof(wt_ternary_args), out, a, b, c, code[1], p0});
  layout_free(&number);
  return status;
}

/* ---- random programs ------------------------------------------------------------------------ */
static bool unary_gives_bool(int op) {
  return op == WT_UNARY_logical_not || (op >= WT_UNARY_isnan && op <= WT_UNARY_signbit);
}
static bool binary_gives_bool(int op) { return op >= WT_BINARY_eq && op <= WT_BINARY_logical_xor; }

/* A random operand of the dtype, or -100 where there is none. */
static int32_t pick(check_random *random, const machine *m, int dtype) {
  int32_t found[WT_PROGRAM_INPUTS + WT_PROGRAM_REGISTERS];
  int count = 0;
  for (int k = 0; k < m->script->input_count; k++) {
    if (m->script->inputs[k].dtype == dtype) found[count++] = k;
  }
  for (int r = 0; r < WT_PROGRAM_REGISTERS; r++) {
    bool there = m->registers[r].data != 0 && m->registers[r].dtype == dtype;
    if (there) found[count++] = WT_PROGRAM_INPUTS + r;
  }
  return count == 0 ? -100 : found[check_integer(random, 0, count - 1)];
}

/* Fills in a step whose operators exist for its operands; the dtype of its result. */
static int random_step(check_random *random, const machine *m, int32_t *code) {
  code[0] = (int32_t)check_integer(random, UNARY, TERNARY);
  code[6] = (int32_t)check_integer(random, 0, 3);
  code[7] = (int32_t)check_integer(random, 0, 3);
  for (int k = 3; k < 6; k++) code[k] = pick(random, m, WT_FLOAT32);
  int32_t condition = pick(random, m, WT_BOOL);
  if (code[0] == UNARY) {
    do code[1] = (int32_t)check_integer(random, 0, WT_UNARY_COUNT - 1);
    while (code[1] == WT_UNARY_bitwise_not);
    bool logic = condition >= 0 && code[1] == WT_UNARY_logical_not;
    if (logic) code[3] = condition;
    return unary_gives_bool(code[1]) ? WT_BOOL : WT_FLOAT32;
  }
  if (code[0] == BINARY) {
    do code[1] = (int32_t)check_integer(random, 0, WT_BINARY_COUNT - 1);
    while (code[1] >= WT_BINARY_bitwise_and && code[1] <= WT_BINARY_lcm);
    if (condition >= 0 && code[1] == WT_BINARY_logical_and) {
      code[3] = condition;
      code[4] = pick(random, m, WT_BOOL);
    } else if (check_integer(random, 0, 2) == 0) {
      code[check_integer(random, 3, 4)] = (int32_t)check_integer(random, -4, -1);
    }
    return binary_gives_bool(code[1]) ? WT_BOOL : WT_FLOAT32;
  }
  code[1] = (int32_t)check_integer(random, condition >= 0 ? 0 : 1, WT_TERNARY_COUNT - 1);
  if (code[1] == WT_TERNARY_where) code[3] = condition;
  if (check_integer(random, 0, 2) == 0) code[5] = (int32_t)check_integer(random, -4, -1);
  return WT_FLOAT32;
}

static wt_tensor random_input(check_random *random, int ndim, const wt_word *size) {
  int dtype = check_integer(random, 0, 3) == 0 ? WT_BOOL : WT_FLOAT32;
  wt_tensor tensor = layout_tensor(random, dtype, ndim, size, layout_any(random));
  check_fill(&tensor, random, dtype == WT_BOOL ? 0 : -3, 3);
  for (int d = 0; d < ndim; d++) {
    if (check_integer(random, 0, 3) == 0) tensor.stride[d] = 0;
  }
  return tensor;
}

static int64_t count_differences(const wt_tensor *a, const wt_tensor *b) {
  int64_t different = 0;
  for (int64_t p = 0; p < a->numel; p++) {
    const double x = check_get(a, p), y = check_get(b, p);
    /* Of NaN, neither sign nor payload count. */
    different += !(isnan(x) ? isnan(y) : x == y && signbit(x) == signbit(y));
  }
  return different;
}

static void random_case(check_random *random, int ndim, const wt_word *size, int most_steps) {
  script s = {.parameters = {0.5, -1.25, 3, 20}, .steps = check_integer(random, 1, most_steps)};
  s.input_count = (int)check_integer(random, 1, WT_PROGRAM_INPUTS);
  for (int k = 0; k < s.input_count; k++) s.inputs[k] = random_input(random, ndim, size);
  if (s.inputs[0].dtype != WT_FLOAT32) {
    layout_free(&s.inputs[0]);
    s.inputs[0] = layout_tensor(random, WT_FLOAT32, ndim, size, layout_any(random));
    check_fill(&s.inputs[0], random, -3, 3);
  }
  machine m = {.script = &s};
  wt_tensor want = {0};
  for (wt_word i = 0; i < s.steps; i++) {
    int32_t *code = s.code[i];
    int dtype = random_step(random, &m, code);
    want = fresh(s.inputs[0], dtype);
    CHECK(run_one(&m, code, want) == WT_OK);
    code[2] = (int32_t)check_integer(random, 0, WT_PROGRAM_REGISTERS - 1);
    /* A step may write over its operand of the same size. */
    if (i == s.steps - 1) {
      code[2] = -1;
      break;
    }
    wt_tensor *place = &m.registers[code[2]];
    if (place->data != 0 && place->dtype != dtype) {
      /* An operand of another size must stay whole until it is read. */
      for (int k = 3; k < 6; k++) {
        if (code[k] == WT_PROGRAM_INPUTS + code[2]) code[2] = -1;
      }
      while (code[2] < 0 || (m.registers[code[2]].data != 0 && m.registers[code[2]].dtype != dtype))
        code[2] = (code[2] + 1) % WT_PROGRAM_REGISTERS;
      place = &m.registers[code[2]];
    }
    if (place->data != 0) layout_free(place);
    *place = want;
  }
  wt_tensor out = layout_tensor(random, (int)want.dtype, ndim, size, layout_any(random));
  CHECK(run_script(&s, out) == WT_OK);
  CHECK(count_differences(&out, &want) == 0);
  for (int r = 0; r < WT_PROGRAM_REGISTERS; r++) {
    if (m.registers[r].data != 0) layout_free(&m.registers[r]);
  }
  for (int k = 0; k < s.input_count; k++) layout_free(&s.inputs[k]);
  layout_free(&want);
  layout_free(&out);
}

TEST(pointwise_program_equals_its_steps) {
  check_random random = {21};
  for (int repeat = 0; repeat < 400; repeat++) {
    wt_word size[4];
    int ndim = (int)check_integer(&random, 0, 4);
    for (int d = 0; d < ndim; d++) {
      size[d] = check_integer(&random, 0, 9) == 0 ? 131 : check_integer(&random, 1, 7);
    }
    random_case(&random, ndim, size, 12);
  }
}

/* Several chunks, blocks and threads, and sizes that no vector divides. */
TEST(pointwise_program_equals_its_steps_over_many_chunks) {
  check_random random = {22};
  const wt_word sizes[][3] = {{3, 37, 401}, {1, 1, 70001}, {401, 37, 3}, {2, 200, 196}};
  for (int repeat = 0; repeat < 12; repeat++) {
    random_case(&random, 3, sizes[repeat % 4], 20);
  }
}

/* ---- a program by hand ---------------------------------------------------------------------- */
/* (x + y) * sigmoid(x), where out takes the place of x. */
static script gate(const float *x, const float *y, wt_word count) {
  script s = {.parameters = {1, 0, 0, 0}, .steps = 3, .input_count = 2};
  const int32_t code[3][WT_STEP_WORDS] = {{BINARY, WT_BINARY_add, 0, 0, 1, 0, 0, 1},
                                          {UNARY, WT_UNARY_sigmoid, 1, 0, 0, 0, 1, 1},
                                          {BINARY, WT_BINARY_mul, -1, 8, 9, 0, 0, 1}};
  memcpy(s.code, code, sizeof code);
  s.inputs[0] = CHECK_TENSOR(x, WT_FLOAT32, count);
  s.inputs[1] = CHECK_TENSOR(y, WT_FLOAT32, count);
  return s;
}

TEST(pointwise_program_may_write_over_an_input) {
  enum { COUNT = 40009 };
  check_random random = {23};
  float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
  float *want = malloc(COUNT * sizeof *want);
  script s = gate(x, y, COUNT);
  check_fill(&s.inputs[0], &random, -3, 3);
  check_fill(&s.inputs[1], &random, -3, 3);
  for (int i = 0; i < COUNT; i++) want[i] = (x[i] + y[i]) / (1 + expf(-x[i]));
  CHECK(run_script(&s, s.inputs[0]) == WT_OK);
  int wrong = 0;
  for (int i = 0; i < COUNT; i++) wrong += !check_close(x[i], want[i], 2e-6);
  CHECK(wrong == 0);
  free(x);
  free(y);
  free(want);
}

TEST(pointwise_program_of_nothing_but_numbers) {
  script s = {.parameters = {3, 0, 4, 1}, .steps = 2};
  const int32_t code[2][WT_STEP_WORDS] = {{BINARY, WT_BINARY_hypot, 15, -1, -3, 0, 3, 3},
                                          {UNARY, WT_UNARY_neg, -1, 23, 0, 0, 0, 0}};
  memcpy(s.code, code, sizeof code);
  float data[9] = {0};
  CHECK(run_script(&s, CHECK_TENSOR(data, WT_FLOAT32, 3, 3)) == WT_OK);
  for (int i = 0; i < 9; i++) CHECK(data[i] == -5);
}

/* A register whose elements repeat is operand and result of a step that goes over all of out. */
TEST(pointwise_program_writes_over_a_register_that_repeats) {
  enum { COUNT = 100 };
  float one[1] = {2}, y[COUNT], data[COUNT];
  script s = {.parameters = {1, 0, 0, 0}, .steps = 3, .input_count = 2};
  const int32_t code[3][WT_STEP_WORDS] = {{UNARY, WT_UNARY_neg, 0, 0, 0, 0, 1, 1},
                                          {BINARY, WT_BINARY_add, 0, 8, 1, 0, 0, 1},
                                          {BINARY, WT_BINARY_mul, -1, 8, 1, 0, 0, 1}};
  memcpy(s.code, code, sizeof code);
  s.inputs[0] = CHECK_TENSOR(one, WT_FLOAT32, COUNT);
  s.inputs[0].stride[0] = 0;
  s.inputs[1] = CHECK_TENSOR(y, WT_FLOAT32, COUNT);
  for (int i = 0; i < COUNT; i++) y[i] = (float)i;
  CHECK(run_script(&s, CHECK_TENSOR(data, WT_FLOAT32, COUNT)) == WT_OK);
  int wrong = 0;
  for (int i = 0; i < COUNT; i++) wrong += data[i] != (y[i] - 2) * y[i];
  CHECK(wrong == 0);
}

TEST(pointwise_program_of_an_empty_output) {
  script s = gate(NULL, NULL, 0);
  CHECK(run_script(&s, s.inputs[0]) == WT_OK);
}

/* ---- errors --------------------------------------------------------------------------------- */
TEST(pointwise_program_refuses_what_is_no_program) {
  float x[5] = {0}, y[5] = {0};
  const script good = gate(x, y, 5);
  const wt_tensor out = CHECK_TENSOR(x, WT_FLOAT32, 5);
  CHECK(run_script(&good, out) == WT_OK);
  static const struct {
    int step, word;
    int32_t value;
  } damage[] = {
      {0, 0, 3},
      {0, 0, -1},
      {0, 1, WT_BINARY_COUNT},
      {0, 1, -1},
      {0, 1, WT_BINARY_gcd},
      {0, 2, -1},
      {0, 2, 16},
      {0, 2, -2},
      {0, 3, 2},
      {0, 3, 24},
      {0, 3, 8},
      {0, 4, 10},
      {0, 4, -5},
      {0, 4, INT32_MIN},
      {0, 3, INT32_MAX},
      {0, 6, 4},
      {0, 6, -1},
      {0, 7, 4},
      {2, 2, 0},
      {2, 4, 10},
      {2, 7, -1},
      {1, 1, 99},
      {2, 1, WT_BINARY_lt},
      {1, 1, WT_UNARY_isnan},
  };
  for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
    script s = good;
    s.code[damage[i].step][damage[i].word] = damage[i].value;
    CHECK(run_script(&s, out) == WT_BAD_ARGUMENT);
  }
  script s = good;
  s.steps = 0;
  CHECK(run_script(&s, out) == WT_BAD_ARGUMENT);
  s.steps = WT_PROGRAM_STEPS + 1;
  CHECK(run_script(&s, out) == WT_BAD_ARGUMENT);
  s = good;
  s.inputs[1] = CHECK_TENSOR(y, WT_FLOAT32, 4);
  CHECK(run_script(&s, out) == WT_BAD_ARGUMENT);
  s = good;
  s.inputs[1].dtype = WT_INT32;
  CHECK(run_script(&s, out) == WT_UNSUPPORTED_DTYPE);
  CHECK(run_script(&good, CHECK_TENSOR(x, WT_BOOL, 5)) == WT_BAD_ARGUMENT);
}

/* Any numbers at all are run or refused. */
TEST(pointwise_program_survives_any_numbers) {
  float x[70], y[70];
  check_random random = {24};
  int ran = 0;
  for (int repeat = 0; repeat < 20000; repeat++) {
    script s = gate(x, y, 70);
    check_fill(&s.inputs[0], &random, -3, 3);
    check_fill(&s.inputs[1], &random, -3, 3);
    s.steps = check_integer(&random, 1, 3);
    for (wt_word i = 0; i < s.steps; i++) {
      for (int k = 0; k < WT_STEP_WORDS; k++) {
        s.code[i][k] = (int32_t)(check_integer(&random, 0, 9) == 0 ? (int64_t)check_next(&random)
                                 : k == 1                          ? check_integer(&random, -1, 90)
                                          : check_integer(&random, -2, k > 2 ? 3 : 2));
      }
    }
    const int status = run_script(&s, s.inputs[0]);
    CHECK(status == WT_OK || status == WT_BAD_ARGUMENT);
    ran += status == WT_OK;
  }
  CHECK(ran > 20);
}
