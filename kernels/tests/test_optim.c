#include "layouts.h"

static const int dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_FLOAT16, WT_BFLOAT16};
enum { STEPS = 4, MOST = 5 };

/* A step on doubles: state[0] is the parameter, 1 the gradient, 2.. the optimizer's tensors. */
typedef void (*reference_step)(const void *settings, double *state, int step);
/* Runs the kernel on the tensors, with settings as the step's arguments. */
typedef int (*kernel_step)(const void *settings, const wt_tensor *tensors, int step);

/* Takes STEPS steps from random parameters and gradients and zero state, and compares each tensor.
 * present: a bit for each tensor that is there. */
static void compare_steps(check_random *random, int dtype, int ndim, const wt_word *size,
                          bool one_layout, unsigned present, kernel_step kernel,
                          reference_step reference, const void *settings) {
  wt_tensor tensors[MOST];
  const uint64_t layout_state = random->state;
  const layout kind = layout_any(random);
  for (int t = 0; t < MOST; t++) {
    check_random same = {layout_state};
    tensors[t] = present >> t & 1 ? layout_tensor(one_layout ? &same : random, dtype, ndim, size,
                                                  one_layout ? kind : layout_any(random))
                                  : check_absent();
  }
  const int64_t count = tensors[0].numel;
  double(*states)[MOST] = calloc((size_t)count, sizeof *states);
  check_fill(&tensors[0], random, -1, 1);
  for (int64_t p = 0; p < count; p++) states[p][0] = check_get(&tensors[0], p);
  for (int step = 1; step <= STEPS; step++) {
    check_fill(&tensors[1], random, -1, 1);
    CHECK(kernel(settings, tensors, step) == WT_OK);
    for (int64_t p = 0; p < count; p++) {
      states[p][1] = check_get(&tensors[1], p);
      reference(settings, states[p], step);
      for (int t = 0; t < MOST; t++)
        if (present >> t & 1)
          CHECK_CLOSE(check_get(&tensors[t], p), states[p][t], 4 * layout_tolerance(dtype));
      /* Half types round their state: the reference goes on from there. */
      for (int t = 0; t < MOST; t++)
        if (present >> t & 1) states[p][t] = check_get(&tensors[t], p);
    }
  }
  free(states);
  for (int t = 0; t < MOST; t++)
    if (present >> t & 1) layout_free(&tensors[t]);
}

static void over_layouts(uint64_t seed, unsigned present, kernel_step kernel,
                         reference_step reference, const void *settings) {
  check_random random = {seed};
  for (int d = 0; d < 4; d++)
    for (int one_layout = 0; one_layout < 2; one_layout++) {
      compare_steps(&random, dtypes[d], 3, (wt_word[]){3, 7, 13}, one_layout, present, kernel,
                    reference, settings);
      compare_steps(&random, dtypes[d], 1, (wt_word[]){1}, one_layout, present, kernel, reference,
                    settings);
    }
  compare_steps(&random, WT_FLOAT32, 1, (wt_word[]){40001}, true, present, kernel, reference,
                settings);
}

/* ---- SGD ---------------------------------------------------------------------------------------
 */
static int sgd_kernel(const void *settings, const wt_tensor *t, int step) {
  wt_sgd_args args = *(const wt_sgd_args *)settings;
  args.param = t[0];
  args.grad = t[1];
  args.momentum_buffer = t[2];
  args.first = step == 1;
  return wt_sgd(&args);
}

static void sgd_reference(const void *settings, double *state, int step) {
  const wt_sgd_args *a = settings;
  double g = (a->maximize ? -state[1] : state[1]) + a->weight_decay * state[0];
  if (a->momentum != 0) {
    state[2] = step == 1 ? g : a->momentum * state[2] + (1 - a->dampening) * g;
    g = a->nesterov ? g + a->momentum * state[2] : state[2];
  }
  state[0] -= a->lr * g;
}

TEST(sgd_follows_its_formula) {
  const wt_sgd_args plain = {.lr = 0.1};
  const wt_sgd_args decayed = {.lr = 0.1, .weight_decay = 0.05, .maximize = 1};
  const wt_sgd_args momentum = {.lr = 0.1, .momentum = 0.9, .dampening = 0.2, .weight_decay = 0.01};
  const wt_sgd_args nesterov = {.lr = 0.1, .momentum = 0.9, .nesterov = 1};
  over_layouts(1, 3, sgd_kernel, sgd_reference, &plain);
  over_layouts(2, 3, sgd_kernel, sgd_reference, &decayed);
  over_layouts(3, 7, sgd_kernel, sgd_reference, &momentum);
  over_layouts(4, 7, sgd_kernel, sgd_reference, &nesterov);
}

TEST(sgd_first_step_ignores_the_buffer) {
  float param[5] = {1, 1, 1, 1, 1}, grad[5] = {1, 2, 3, 4, 5},
        buffer[5] = {NAN, NAN, NAN, NAN, NAN};
  wt_sgd_args args = {sizeof args,
                      CHECK_TENSOR(param, WT_FLOAT32, 5),
                      CHECK_TENSOR(grad, WT_FLOAT32, 5),
                      CHECK_TENSOR(buffer, WT_FLOAT32, 5),
                      0.5,
                      0.9,
                      0.5,
                      0,
                      0,
                      0,
                      1};
  CHECK(wt_sgd(&args) == WT_OK);
  for (int i = 0; i < 5; i++) CHECK(buffer[i] == grad[i] && param[i] == 1 - 0.5f * grad[i]);
}

/* ---- Adam --------------------------------------------------------------------------------------
 */
static int adam_kernel(const void *settings, const wt_tensor *t, int step) {
  wt_adam_args args = *(const wt_adam_args *)settings;
  args.param = t[0];
  args.grad = t[1];
  args.exp_avg = t[2];
  args.exp_avg_sq = t[3];
  args.max_exp_avg_sq = t[4];
  args.step = step;
  return wt_adam(&args);
}

static void adam_step(const wt_adam_args *a, double *state, int step, bool amsgrad) {
  double g = a->maximize ? -state[1] : state[1];
  if (a->decoupled)
    state[0] *= 1 - a->lr * a->weight_decay;
  else
    g += a->weight_decay * state[0];
  state[2] += (g - state[2]) * (1 - a->beta1);
  state[3] = a->beta2 * state[3] + (1 - a->beta2) * g * g;
  state[4] = fmax(state[4], state[3]);
  const double square = amsgrad ? state[4] : state[3];
  const double denominator = sqrt(square) / sqrt(1 - pow(a->beta2, step)) + a->eps;
  state[0] -= a->lr / (1 - pow(a->beta1, step)) * state[2] / denominator;
}
static void adam_reference(const void *settings, double *state, int step) {
  adam_step(settings, state, step, false);
}
static void amsgrad_reference(const void *settings, double *state, int step) {
  adam_step(settings, state, step, true);
}

TEST(adam_follows_its_formula) {
  const wt_adam_args plain = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3};
  const wt_adam_args decayed = {
      .lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1, .maximize = 1};
  const wt_adam_args decoupled = {
      .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.1, .decoupled = 1};
  const wt_adam_args *all[] = {&plain, &decayed, &decoupled};
  for (int k = 0; k < 3; k++) {
    over_layouts(5, 15, adam_kernel, adam_reference, all[k]);
    over_layouts(6, 31, adam_kernel, amsgrad_reference, all[k]);
  }
}

/* ---- RMSprop -----------------------------------------------------------------------------------
 */
static int rmsprop_kernel(const void *settings, const wt_tensor *t, int step) {
  wt_rmsprop_args args = *(const wt_rmsprop_args *)settings;
  (void)step;
  args.param = t[0];
  args.grad = t[1];
  args.square_avg = t[2];
  args.momentum_buffer = t[3];
  args.grad_avg = t[4];
  return wt_rmsprop(&args);
}

static void rmsprop_step(const wt_rmsprop_args *a, double *state, bool centered) {
  const double g = (a->maximize ? -state[1] : state[1]) + a->weight_decay * state[0];
  state[2] = a->alpha * state[2] + (1 - a->alpha) * g * g;
  state[4] += (1 - a->alpha) * (g - state[4]);
  const double root = sqrt(centered ? state[2] - state[4] * state[4] : state[2]) + a->eps;
  state[3] = a->momentum * state[3] + g / root;
  state[0] -= a->lr * (a->momentum > 0 ? state[3] : g / root);
}
static void rmsprop_reference(const void *settings, double *state, int step) {
  (void)step;
  rmsprop_step(settings, state, false);
}
static void centered_reference(const void *settings, double *state, int step) {
  (void)step;
  rmsprop_step(settings, state, true);
}

TEST(rmsprop_follows_its_formula) {
  const wt_rmsprop_args plain = {.lr = 0.01, .alpha = 0.9, .eps = 1e-2, .weight_decay = 0.1};
  const wt_rmsprop_args momentum = {
      .lr = 0.01, .alpha = 0.9, .eps = 1e-2, .momentum = 0.5, .maximize = 1};
  over_layouts(7, 7, rmsprop_kernel, rmsprop_reference, &plain);
  over_layouts(8, 23, rmsprop_kernel, centered_reference, &plain);
  over_layouts(9, 15, rmsprop_kernel, rmsprop_reference, &momentum);
  over_layouts(10, 31, rmsprop_kernel, centered_reference, &momentum);
}

/* ---- bad arguments ------------------------------------------------------------------------------
 */
TEST(optimizers_reject_tensors_that_do_not_fit) {
  float x[6] = {0};
  int32_t integers[6] = {0};
  wt_tensor six = CHECK_TENSOR(x, WT_FLOAT32, 6), matrix = CHECK_TENSOR(x, WT_FLOAT32, 2, 3);
  wt_sgd_args sgd = {.param = six, .grad = matrix, .momentum_buffer = check_absent()};
  CHECK(wt_sgd(&sgd) == WT_BAD_ARGUMENT);
  sgd.grad = check_absent();
  CHECK(wt_sgd(&sgd) == WT_BAD_ARGUMENT);
  sgd.grad = CHECK_TENSOR(integers, WT_INT32, 6);
  CHECK(wt_sgd(&sgd) == WT_UNSUPPORTED_DTYPE);
  wt_adam_args adam = {.param = six,
                       .grad = six,
                       .exp_avg = six,
                       .exp_avg_sq = check_absent(),
                       .max_exp_avg_sq = check_absent()};
  CHECK(wt_adam(&adam) == WT_BAD_ARGUMENT);
}
