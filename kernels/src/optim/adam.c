/* Adam (Kingma & Ba 2015), AMSGrad (Reddi et al. 2018) where max_exp_avg_sq is present, and AdamW
 * (Loshchilov & Hutter 2019) where the decay is decoupled; as torch.optim.Adam. With g = ±grad and
 * t = step, counted from 1:
 *   decoupled: param *= 1 - lr * weight_decay; otherwise g += weight_decay * param
 *   m += (g - m) * (1 - beta1);  v = beta2 * v + (1 - beta2) * g * g
 *   param -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps) */
#include <math.h>

#include "optim/spans.h"
#include "simd.h"

typedef struct settings {
  double decay;        /* added to the gradient, of the parameter */
  double shrink;       /* factor of the parameter before the step */
  double sign;         /* -1 to maximize */
  double lerp;         /* 1 - beta1 */
  double beta2, rest2; /* beta2, 1 - beta2 */
  double inverse_root; /* 1 / sqrt(1 - beta2^t) */
  double eps, step_size;
} settings;

static settings settings_of(const wt_adam_args *args) {
  const double t = (double)args->step;
  return (settings){.decay = args->decoupled ? 0 : args->weight_decay,
                    .shrink = args->decoupled ? 1 - args->lr * args->weight_decay : 1,
                    .sign = args->maximize ? -1 : 1,
                    .lerp = 1 - args->beta1,
                    .beta2 = args->beta2,
                    .rest2 = 1 - args->beta2,
                    .inverse_root = 1 / sqrt(1 - pow(args->beta2, t)),
                    .eps = args->eps,
                    .step_size = args->lr / (1 - pow(args->beta1, t))};
}

/* One element: the scalar reference of the vector loop below, and its rest. */
#define DEFINE_SCALAR(type, root)                                                             \
  static void update_scalar_##type(const settings *s, type *param, const type *grad, type *m, \
                                   type *v, type *v_max, wt_word begin, wt_word end) {        \
    const type sign = (type)s->sign, decay = (type)s->decay, shrink = (type)s->shrink;        \
    const type lerp = (type)s->lerp, beta2 = (type)s->beta2, rest2 = (type)s->rest2;          \
    const type inverse_root = (type)s->inverse_root, eps = (type)s->eps;                      \
    const type step_size = (type)s->step_size;                                                \
    for (wt_word i = begin; i < end; i++) {                                                   \
      const type p = param[i] * shrink, g = sign * grad[i] + decay * param[i];                \
      m[i] += lerp * (g - m[i]);                                                              \
      v[i] = beta2 * v[i] + rest2 * g * g;                                                    \
      type largest = v[i];                                                                    \
      if (v_max) {                                                                            \
        if (v_max[i] > largest || v_max[i] != v_max[i]) largest = v_max[i];                   \
        v_max[i] = largest;                                                                   \
      }                                                                                       \
      param[i] = p - step_size * m[i] / (root(largest) * inverse_root + eps);                 \
    }                                                                                         \
  }
DEFINE_SCALAR(float, sqrtf)
DEFINE_SCALAR(double, sqrt)

#if !WT_USE_REFERENCE
/* Elements 0..n-1 where n is the multiple of 4 below count; returns n. */
static wt_word update_vectors(const settings *s, float *param, const float *grad, float *m,
                              float *v, float *v_max, wt_word count) {
  const wt_f32x4 sign = wt_f32x4_splat((float)s->sign), decay = wt_f32x4_splat((float)s->decay);
  const wt_f32x4 shrink = wt_f32x4_splat((float)s->shrink), lerp = wt_f32x4_splat((float)s->lerp);
  const wt_f32x4 beta2 = wt_f32x4_splat((float)s->beta2), rest2 = wt_f32x4_splat((float)s->rest2);
  const wt_f32x4 inverse_root = wt_f32x4_splat((float)s->inverse_root);
  const wt_f32x4 eps = wt_f32x4_splat((float)s->eps);
  const wt_f32x4 step_size = wt_f32x4_splat((float)s->step_size);
  wt_word i = 0;
  for (; i + 4 <= count; i += 4) {
    const wt_f32x4 p = wt_f32x4_load(param + i);
    const wt_f32x4 g = wt_f32x4_madd(decay, p, sign * wt_f32x4_load(grad + i));
    wt_f32x4 mean = wt_f32x4_load(m + i);
    mean = wt_f32x4_madd(lerp, g - mean, mean);
    wt_f32x4 square = wt_f32x4_madd(rest2 * g, g, beta2 * wt_f32x4_load(v + i));
    wt_f32x4_store(m + i, mean);
    wt_f32x4_store(v + i, square);
    if (v_max) {
      square = wt_f32x4_maximum(square, wt_f32x4_load(v_max + i));
      wt_f32x4_store(v_max + i, square);
    }
    const wt_f32x4 denominator = wt_f32x4_madd(wt_f32x4_sqrt(square), inverse_root, eps);
    wt_f32x4_store(param + i, p * shrink - step_size * mean / denominator);
  }
  return i;
}
#endif

static void update_floats(const void *settings, void *const *spans, wt_word count) {
  wt_word done = 0;
#if !WT_USE_REFERENCE
  done = update_vectors(settings, spans[0], spans[1], spans[2], spans[3], spans[4], count);
#endif
  update_scalar_float(settings, spans[0], spans[1], spans[2], spans[3], spans[4], done, count);
}

static void update_doubles(const void *settings, void *const *spans, wt_word count) {
  update_scalar_double(settings, spans[0], spans[1], spans[2], spans[3], spans[4], 0, count);
}

WT_KERNEL(adam, 1) {
  const wt_adam_args *args = arguments;
  const wt_tensor *const tensors[] = {&args->param, &args->grad, &args->exp_avg, &args->exp_avg_sq,
                                      &args->max_exp_avg_sq};
  if (!wt_is_present(&args->exp_avg)) return wt_fail(WT_BAD_ARGUMENT, 3, -1, 0);
  if (!wt_is_present(&args->exp_avg_sq)) return wt_fail(WT_BAD_ARGUMENT, 4, -1, 0);
  const settings settings = settings_of(args);
  return wt_update_spans(5, tensors, update_floats, update_doubles, &settings);
}
