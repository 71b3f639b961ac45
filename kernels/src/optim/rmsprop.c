/* RMSprop (Tieleman & Hinton 2012; centered: Graves 2013) as torch.optim.RMSprop. With
 * g = ±grad + weight_decay * param:
 *   s = alpha * s + (1 - alpha) * g * g
 *   centered (grad_avg present): a += (1 - alpha) * (g - a);  root = sqrt(s - a * a), else sqrt(s)
 *   momentum_buffer present: b = momentum * b + g / (root + eps);  param -= lr * b
 *   otherwise: param -= lr * g / (root + eps) */
#include <math.h>

#include "optim/spans.h"
#include "simd.h"

/* One element: the scalar reference of the vector loop below, and its rest. */
#define DEFINE_SCALAR(type, root_of)                                                           \
  static void update_scalar_##type(const wt_rmsprop_args *args, type *param, const type *grad, \
                                   type *square, type *buffer, type *average, wt_word begin,   \
                                   wt_word end) {                                              \
    const type sign = args->maximize ? -1 : 1, decay = (type)args->weight_decay;               \
    const type alpha = (type)args->alpha, rest = (type)(1 - args->alpha);                      \
    const type eps = (type)args->eps, momentum = (type)args->momentum, lr = (type)args->lr;    \
    for (wt_word i = begin; i < end; i++) {                                                    \
      const type g = sign * grad[i] + decay * param[i];                                        \
      type radicand = square[i] = alpha * square[i] + rest * g * g;                            \
      if (average) {                                                                           \
        average[i] += rest * (g - average[i]);                                                 \
        radicand -= average[i] * average[i];                                                   \
      }                                                                                        \
      const type root = root_of(radicand) + eps;                                               \
      if (buffer)                                                                              \
        param[i] -= lr * (buffer[i] = momentum * buffer[i] + g / root);                        \
      else                                                                                     \
        param[i] -= lr * g / root;                                                             \
    }                                                                                          \
  }
DEFINE_SCALAR(float, sqrtf)
DEFINE_SCALAR(double, sqrt)

#if !WT_USE_REFERENCE
/* Elements 0..n-1 where n is the multiple of 4 below count; returns n. */
static wt_word update_vectors(const wt_rmsprop_args *args, float *param, const float *grad,
                              float *square, float *buffer, float *average, wt_word count) {
  const wt_f32x4 sign = wt_f32x4_splat(args->maximize ? -1.0f : 1.0f);
  const wt_f32x4 decay = wt_f32x4_splat((float)args->weight_decay);
  const wt_f32x4 alpha = wt_f32x4_splat((float)args->alpha);
  const wt_f32x4 rest = wt_f32x4_splat((float)(1 - args->alpha));
  const wt_f32x4 eps = wt_f32x4_splat((float)args->eps);
  const wt_f32x4 momentum = wt_f32x4_splat((float)args->momentum);
  const wt_f32x4 lr = wt_f32x4_splat((float)args->lr);
  wt_word i = 0;
  for (; i + 4 <= count; i += 4) {
    const wt_f32x4 p = wt_f32x4_load(param + i);
    const wt_f32x4 g = sign * wt_f32x4_load(grad + i) + decay * p;
    wt_f32x4 radicand = alpha * wt_f32x4_load(square + i) + rest * g * g;
    wt_f32x4_store(square + i, radicand);
    if (average) {
      wt_f32x4 a = wt_f32x4_load(average + i);
      a += rest * (g - a);
      wt_f32x4_store(average + i, a);
      radicand -= a * a;
    }
    const wt_f32x4 root = wt_f32x4_sqrt(radicand) + eps;
    wt_f32x4 step = lr * g / root;
    if (buffer) {
      const wt_f32x4 b = momentum * wt_f32x4_load(buffer + i) + g / root;
      wt_f32x4_store(buffer + i, b);
      step = lr * b;
    }
    wt_f32x4_store(param + i, p - step);
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

WT_KERNEL(rmsprop, 1) {
  const wt_rmsprop_args *args = arguments;
  const wt_tensor *const tensors[] = {&args->param, &args->grad, &args->square_avg,
                                      &args->momentum_buffer, &args->grad_avg};
  if (!wt_is_present(&args->square_avg)) return wt_fail(WT_BAD_ARGUMENT, 3, -1, 0);
  return wt_update_spans(5, tensors, update_floats, update_doubles, args);
}
