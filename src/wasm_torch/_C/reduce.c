/* Reductions and matrix products: shapes, and the kernel call. */
#include "tensor.h"

#include <string.h>

Tensor *reduce_raw(Tensor *self, wt_reduce_op op, const bool *reduced, bool keepdim, double p0,
                   int out_dtype) {
  bool by_any_dtype = op == WT_REDUCE_any || op == WT_REDUCE_all || op == WT_REDUCE_count_nonzero;
  Tensor *input = by_any_dtype ? (Tensor *)new_ref(self) : tensor_cast(self, out_dtype);
  if (input == NULL) return NULL;
  wt_word size[WT_MAX_DIMS], kept_size[WT_MAX_DIMS], kept_stride[WT_MAX_DIMS];
  for (int d = 0; d < self->ndim; d++) size[d] = reduced[d] ? 1 : self->size[d];
  Tensor *out = tensor_empty(out_dtype, self->ndim, size);
  if (out == NULL) {
    Py_DECREF(input);
    return NULL;
  }
  int status = 0;
  if (out->numel > 0) {
    KERNEL_ARGS(reduce) call;
    tensor_describe(out, &call.args.out);
    tensor_describe(input, &call.args.self);
    call.args.op = op;
    call.args.p0 = p0;
    status = call_kernel(WT_KERNEL_reduce, &call, sizeof call.args);
  }
  Py_DECREF(input);
  if (status < 0) {
    Py_DECREF(out);
    return NULL;
  }
  if (keepdim) return out;
  int kept = 0;
  for (int d = 0; d < self->ndim; d++) {
    if (reduced[d]) continue;
    kept_size[kept] = out->size[d];
    kept_stride[kept++] = out->stride[d];
  }
  memcpy(out->size, kept_size, sizeof(wt_word) * (size_t)kept);
  memcpy(out->stride, kept_stride, sizeof(wt_word) * (size_t)kept);
  out->ndim = (uint8_t)kept;
  tensor_update(out);
  return out;
}

/* (rows, columns) as one matrix of a batch of one. */
static void describe_matrix(const Tensor *t, wt_tensor *out) {
  tensor_describe(t, out);
  out->ndim = 3;
  out->size[2] = t->size[1];
  out->size[1] = t->size[0];
  out->size[0] = 1;
  out->stride[2] = t->stride[1];
  out->stride[1] = t->stride[0];
  out->stride[0] = 0;
}

Tensor *matmul_raw(Tensor *a, Tensor *b) {
  wt_word size[2] = {a->size[0], b->size[1]};
  Tensor *out = tensor_empty(a->dtype, 2, size);
  if (out == NULL || out->numel == 0) return out;
  KERNEL_ARGS(gemm) call;
  describe_matrix(out, &call.args.out);
  describe_matrix(a, &call.args.a);
  describe_matrix(b, &call.args.b);
  tensor_describe_absent(&call.args.bias);
  call.args.alpha = 1.0;
  call.args.beta = 0.0;
  if (call_kernel(WT_KERNEL_gemm, &call, sizeof call.args) < 0) Py_CLEAR(out);
  return out;
}
