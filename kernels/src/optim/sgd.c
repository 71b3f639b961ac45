/* Stochastic gradient descent as torch.optim.SGD: with g = ±grad + weight_decay * param,
 *   buffer = momentum * buffer + (1 - dampening) * g   (the first time: buffer = g)
 *   param -= lr * (nesterov ? g + momentum * buffer : buffer, or g without momentum) */
#include "optim/spans.h"

/* Plain loops over contiguous arrays that do not overlap: compilers vectorise them. */
#define DEFINE_UPDATE(type)                                                                       \
  static void update_##type(const void *settings, void *const *spans, wt_word count) {            \
    const wt_sgd_args *args = settings;                                                           \
    type *restrict param = spans[0], *restrict buffer = spans[2];                                 \
    const type *restrict grad = spans[1];                                                         \
    const type sign = args->maximize ? -1 : 1, decay = (type)args->weight_decay;                  \
    const type rate = (type) - args->lr, momentum = (type)args->momentum;                         \
    const type keep = args->first ? 0 : momentum;                                                 \
    const type take = args->first ? 1 : (type)(1 - args->dampening);                              \
    if (!buffer) {                                                                                \
      for (wt_word i = 0; i < count; i++) param[i] += rate * (sign * grad[i] + decay * param[i]); \
      return;                                                                                     \
    }                                                                                             \
    if (args->first)                                                                              \
      for (wt_word i = 0; i < count; i++) buffer[i] = 0; /* what lies there may be NaN */         \
    if (args->nesterov)                                                                           \
      for (wt_word i = 0; i < count; i++) {                                                       \
        const type g = sign * grad[i] + decay * param[i];                                         \
        buffer[i] = keep * buffer[i] + take * g;                                                  \
        param[i] += rate * (g + momentum * buffer[i]);                                            \
      }                                                                                           \
    else                                                                                          \
      for (wt_word i = 0; i < count; i++) {                                                       \
        const type g = sign * grad[i] + decay * param[i];                                         \
        buffer[i] = keep * buffer[i] + take * g;                                                  \
        param[i] += rate * buffer[i];                                                             \
      }                                                                                           \
  }
DEFINE_UPDATE(float)
DEFINE_UPDATE(double)

WT_KERNEL(sgd, 1) {
  const wt_sgd_args *args = arguments;
  const wt_tensor *const tensors[] = {&args->param, &args->grad, &args->momentum_buffer};
  return wt_update_spans(3, tensors, update_float, update_double, args);
}
