/* The engine's ABI: what a host, the Python extension and compiled models may rely on.
 *
 * Everything is declared once, in X-macros: element types, operator codes, the argument struct of
 * each kernel, and the list of kernels. The C structs, the field tables from which the extension
 * and the compiler of model files pack arguments, and the enumerations all derive from the lists
 * below.
 *
 * A kernel is `int kernel(const void *args)`: `args` points to its struct, 0 means success and any
 * other value is one of `wt_status`. Every struct starts with its own size in bytes, and grows only
 * at its end; an incompatible change gets a new version, and so a new import name (`gemm@2`).
 */
#ifndef WASM_TORCH_ABI_H
#define WASM_TORCH_ABI_H

#include <stddef.h>
#include <stdint.h>

/* Addresses, sizes, strides and small integers: 32 bits in wasm, 64 on the desktop. */
typedef intptr_t wt_word;

#define WT_MAX_DIMS 16

/* The lists are tables, whose rows the formatter would tear apart. */
/* clang-format off */

/* ---- element types ------------------------------------------------------------------------- */
/* X(NAME, name, code, C type, bytes): the codes are those of torch's ScalarType. */
#define WT_DTYPES(X)                      \
  X(UINT8, uint8, 0, uint8_t, 1)          \
  X(INT8, int8, 1, int8_t, 1)             \
  X(INT16, int16, 2, int16_t, 2)          \
  X(INT32, int32, 3, int32_t, 4)          \
  X(INT64, int64, 4, int64_t, 8)          \
  X(FLOAT16, float16, 5, uint16_t, 2)     \
  X(FLOAT32, float32, 6, float, 4)        \
  X(FLOAT64, float64, 7, double, 8)       \
  X(BOOL, bool, 11, uint8_t, 1)           \
  X(BFLOAT16, bfloat16, 15, uint16_t, 2)

typedef enum wt_dtype {
#define X(NAME, name, code, ctype, bytes) WT_##NAME = code,
  WT_DTYPES(X)
#undef X
  WT_DTYPE_COUNT = 16
} wt_dtype;

/* ---- status -------------------------------------------------------------------------------- */
typedef enum wt_status {
  WT_OK = 0,
  WT_OUT_OF_MEMORY = 1,      /* detail: {bytes asked for, 0, 0} */
  WT_INDEX_OUT_OF_RANGE = 2, /* detail: {index, dimension or -1, size} */
  WT_UNSUPPORTED_DTYPE = 3,  /* detail: {dtype, 0, 0} */
  WT_BAD_ARGUMENT = 4,       /* detail: {field number, value, 0} */
  WT_SINGULAR = 5,           /* detail: {batch entry, 1-based pivot, 0} */
  WT_NOT_CONVERGED = 6,      /* detail: {batch entry, 0, 0} */
  WT_TRAP = 7,               /* set by the host: a trap was caught inside a kernel */
  WT_UNKNOWN_KERNEL = 8,     /* detail: {kernel number, 0, 0} */
  WT_DIVISION_BY_ZERO = 9    /* integer division or remainder */
} wt_status;

/* ---- operator codes ------------------------------------------------------------------------ */
/* Unary, computed in the dtype of `self`; p0, p1 are parameters. The predicates write bool.
 * All float formulas are torch's: relu keeps NaN, sign(NaN) is NaN->0 as torch, round is half-even. */
#define WT_UNARY_OPS(X)                                                                           \
  X(abs) X(neg) X(positive) X(sign) X(sgn) X(square) X(sqrt) X(rsqrt) X(reciprocal) X(exp)        \
  X(exp2) X(expm1) X(log) X(log2) X(log10) X(log1p) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan)  \
  X(sinh) X(cosh) X(tanh) X(asinh) X(acosh) X(atanh) X(erf) X(erfc) X(erfinv) X(lgamma)           \
  X(digamma) X(floor) X(ceil) X(round) X(trunc) X(frac) X(sigmoid) X(logit)                       \
  X(relu) X(relu6) X(leaky_relu) X(elu) X(celu) X(selu) X(gelu) X(gelu_tanh) X(silu) X(mish)      \
  X(softplus) X(logsigmoid) X(hardsigmoid) X(hardswish) X(hardtanh) X(hardshrink) X(softshrink)   \
  X(tanhshrink) X(softsign) X(threshold) X(clamp) X(clamp_min) X(clamp_max) X(nan_to_num)         \
  X(bitwise_not) X(logical_not) X(isnan) X(isinf) X(isfinite) X(isposinf) X(isneginf) X(signbit)  \
  X(deg2rad) X(rad2deg) X(sinc) X(i0) X(i0e) X(i1) X(i1e) X(ndtri) X(erfcx) X(pow_scalar)         \
  X(log_ndtr) X(ndtr) X(bessel_j0) X(bessel_j1) X(trigamma)
/* Parameters: leaky_relu p0=slope; elu/celu p0=alpha; softplus p0=beta p1=threshold; hardtanh and
 * clamp p0=min p1=max; hardshrink, softshrink p0=lambda; threshold p0=threshold p1=value; logit
 * p0=eps (<0: none); nan_to_num p0=replacement of NaN, infinities become +-p1 (finite max if p1
 * is NaN is decided by the caller); pow_scalar p0=exponent; relu6 none; gelu exact erf. */

/* Binary, operands of one dtype. Comparisons and logical_* write bool. `alpha` scales `other` in
 * add and sub, and is the extra parameter of the *_backward operators. */
#define WT_BINARY_OPS(X)                                                                          \
  X(add) X(sub) X(rsub) X(mul) X(div) X(div_floor) X(div_trunc) X(remainder) X(fmod) X(pow)       \
  X(maximum) X(minimum) X(fmax) X(fmin) X(atan2) X(hypot) X(copysign) X(nextafter) X(ldexp)       \
  X(logaddexp) X(logaddexp2) X(xlogy) X(xlog1py) X(heaviside) X(zeta) X(igamma) X(igammac)        \
  X(bitwise_and) X(bitwise_or) X(bitwise_xor) X(bitwise_left_shift) X(bitwise_right_shift)        \
  X(gcd) X(lcm) X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(logical_and) X(logical_or) X(logical_xor)   \
  X(relu_backward) X(leaky_relu_backward) X(sigmoid_backward) X(tanh_backward) X(gelu_backward)   \
  X(gelu_tanh_backward) X(silu_backward) X(mish_backward) X(elu_backward) X(softplus_backward)    \
  X(hardswish_backward) X(hardsigmoid_backward) X(logsigmoid_backward) X(prelu)
/* X_backward(self=grad, other=input; of sigmoid, tanh: other=output). prelu(self, other=weight).
 * leaky_relu/elu/softplus backward: alpha is slope/alpha/beta (softplus threshold 20). */

#define WT_TERNARY_OPS(X) X(where) X(addcmul) X(addcdiv) X(lerp) X(clamp)
/* where(a=bool condition, b, c); addcmul a+value*b*c; addcdiv a+value*b/c; lerp(a, b, weight=c);
 * clamp(a, min=b, max=c), where NaN in any operand gives NaN. */

#define WT_REDUCE_OPS(X)                                                                          \
  X(sum) X(mean) X(prod) X(amax) X(amin) X(any) X(all) X(var) X(std) X(norm) X(nansum)            \
  X(count_nonzero) X(logsumexp)
/* var/std p0=correction; norm p0=order (0, 1, 2, +-inf, other). any, all write bool from any dtype;
 * count_nonzero writes int64 from any dtype; the others read and write one dtype. Float sums are
 * pairwise or blocked (error growth of torch's order), Kahan-free; half types accumulate in f32. */

#define WT_SCAN_OPS(X) X(cumsum) X(cumprod) X(cummax) X(cummin) X(logcumsumexp)
#define WT_SCATTER_MODES(X) X(set) X(add) X(multiply) X(amax) X(amin)
#define WT_RANDOM_OPS(X)                                                                          \
  X(uniform) X(normal) X(integers) X(permutation) X(bernoulli) X(exponential) X(geometric)        \
  X(cauchy) X(log_normal) X(bernoulli_tensor) X(normal_tensor) X(poisson) X(gamma) X(binomial)    \
  X(random_full)

#define X(name) WT_UNARY_##name,
typedef enum wt_unary_op { WT_UNARY_OPS(X) WT_UNARY_COUNT } wt_unary_op;
#undef X
#define X(name) WT_BINARY_##name,
typedef enum wt_binary_op { WT_BINARY_OPS(X) WT_BINARY_COUNT } wt_binary_op;
#undef X
#define X(name) WT_TERNARY_##name,
typedef enum wt_ternary_op { WT_TERNARY_OPS(X) WT_TERNARY_COUNT } wt_ternary_op;
#undef X
#define X(name) WT_REDUCE_##name,
typedef enum wt_reduce_op { WT_REDUCE_OPS(X) WT_REDUCE_COUNT } wt_reduce_op;
#undef X
#define X(name) WT_SCAN_##name,
typedef enum wt_scan_op { WT_SCAN_OPS(X) WT_SCAN_COUNT } wt_scan_op;
#undef X
#define X(name) WT_SCATTER_##name,
typedef enum wt_scatter_mode { WT_SCATTER_MODES(X) WT_SCATTER_COUNT } wt_scatter_mode;
#undef X
#define X(name) WT_RANDOM_##name,
typedef enum wt_random_op { WT_RANDOM_OPS(X) WT_RANDOM_COUNT } wt_random_op;
#undef X

/* ---- field types --------------------------------------------------------------------------- */
/* A strided tensor. `data` is the address of element (0, ..., 0): storage plus offset. Strides are
 * in elements and may be 0 (expanded) or negative (flipped, in `copy` sources only). An absent
 * optional tensor has data 0 and ndim -1. */
typedef struct wt_tensor {
  wt_word data;
  wt_word dtype;
  wt_word ndim;
  wt_word numel;
  wt_word size[WT_MAX_DIMS];
  wt_word stride[WT_MAX_DIMS];
} wt_tensor;

/* A number given both as float64 and as int64, so that neither kind loses precision. */
typedef struct wt_scalar {
  double f;
  int64_t i;
} wt_scalar;

#define WT_FIELD_TYPE_TENSOR wt_tensor
#define WT_FIELD_TYPE_WORD wt_word
#define WT_FIELD_TYPE_ADDRESS wt_word
#define WT_FIELD_TYPE_DOUBLE double
#define WT_FIELD_TYPE_SCALAR wt_scalar

typedef enum wt_field_kind {
  WT_FIELD_TENSOR,
  WT_FIELD_WORD,
  WT_FIELD_ADDRESS,
  WT_FIELD_DOUBLE,
  WT_FIELD_SCALAR
} wt_field_kind;

/* ---- argument structs ---------------------------------------------------------------------- */
/* Pointwise. `*_contiguous`: all operands dense and of equal shape, `count` elements; they fit the
 * sixteen words of a submit. mode 0: two tensors; 1: `scalar` in place of other; 2: of self. */
#define WT_ARGS_unary(F) F(TENSOR, out) F(TENSOR, self) F(WORD, op) F(DOUBLE, p0) F(DOUBLE, p1)
#define WT_ARGS_unary_contiguous(F)                                                 \
  F(WORD, op) F(WORD, dtype) F(WORD, out_dtype) F(ADDRESS, out) F(ADDRESS, self)    \
  F(WORD, count) F(DOUBLE, p0) F(DOUBLE, p1)
#define WT_ARGS_binary(F)                                                           \
  F(TENSOR, out) F(TENSOR, self) F(TENSOR, other) F(WORD, op) F(WORD, mode)         \
  F(SCALAR, scalar) F(DOUBLE, alpha)
#define WT_ARGS_binary_contiguous(F)                                                \
  F(WORD, op) F(WORD, dtype) F(WORD, mode) F(ADDRESS, out) F(ADDRESS, self)         \
  F(ADDRESS, other) F(WORD, count) F(SCALAR, scalar) F(DOUBLE, alpha)
#define WT_ARGS_ternary(F)                                                          \
  F(TENSOR, out) F(TENSOR, a) F(TENSOR, b) F(TENSOR, c) F(WORD, op) F(DOUBLE, value)
#define WT_ARGS_copy(F) F(TENSOR, out) F(TENSOR, self)
#define WT_ARGS_fill(F) F(TENSOR, out) F(SCALAR, value)
#define WT_ARGS_arange(F) F(TENSOR, out) F(SCALAR, start) F(SCALAR, step)
#define WT_ARGS_linspace(F) F(TENSOR, out) F(DOUBLE, start) F(DOUBLE, end)
#define WT_ARGS_triangle(F) F(TENSOR, out) F(TENSOR, self) F(WORD, diagonal) F(WORD, upper)

/* Reductions: out has the rank of self, with size 1 in each reduced dimension. */
#define WT_ARGS_reduce(F) F(TENSOR, out) F(TENSOR, self) F(WORD, op) F(DOUBLE, p0)
#define WT_ARGS_arg_reduce(F)                                                       \
  F(TENSOR, values) F(TENSOR, indices) F(TENSOR, self) F(WORD, dim) F(WORD, maximum)
#define WT_ARGS_scan(F) \
  F(TENSOR, out) F(TENSOR, indices) F(TENSOR, self) F(WORD, dim) F(WORD, op)

/* out[b] = beta * bias[b] + alpha * a[b] @ b[b]; all 3-dimensional, any strides (0 broadcasts);
 * a is (B, M, K), b is (B, K, N), bias (B, M, N) or absent, out (B, M, N). */
#define WT_ARGS_gemm(F)                                                             \
  F(TENSOR, out) F(TENSOR, a) F(TENSOR, b) F(TENSOR, bias) F(DOUBLE, alpha) F(DOUBLE, beta)

/* Convolution, always with three spatial dimensions (leading ones of size 1): input is
 * (N, C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O) or absent, any strides: NCHW and
 * channels-last alike. out holds the output size. */
#define WT_CONV_GEOMETRY(F)                                                         \
  F(WORD, groups) F(WORD, stride0) F(WORD, stride1) F(WORD, stride2) F(WORD, pad0)  \
  F(WORD, pad1) F(WORD, pad2) F(WORD, dilation0) F(WORD, dilation1) F(WORD, dilation2)
#define WT_ARGS_conv(F) \
  F(TENSOR, out) F(TENSOR, input) F(TENSOR, weight) F(TENSOR, bias) WT_CONV_GEOMETRY(F)
#define WT_ARGS_conv_backward_input(F) \
  F(TENSOR, grad_input) F(TENSOR, grad_out) F(TENSOR, weight) WT_CONV_GEOMETRY(F)
#define WT_ARGS_conv_backward_weight(F)                                             \
  F(TENSOR, grad_weight) F(TENSOR, grad_bias) F(TENSOR, grad_out) F(TENSOR, input)  \
  WT_CONV_GEOMETRY(F)

/* A float32 convolution, or with one tap a linear layer, whose weight pack_weight has packed once in
 * its place (kernels/src/packed/packed.h); the struct gives the dense weight's geometry. The
 * channels of out, input and residual lie side by side (channels last); other strides are free.
 * out = activation(conv(input) + bias + residual), whose activation is a unary operator with p0, p1,
 * or -1: none. The residual has the shape of out, and may be out itself. */
#define WT_ARGS_conv_packed(F)                                                      \
  F(TENSOR, out) F(TENSOR, input) F(TENSOR, weight) F(TENSOR, bias)                 \
  F(TENSOR, residual) WT_CONV_GEOMETRY(F) F(WORD, activation) F(DOUBLE, p0) F(DOUBLE, p1)
/* The same with a weight in 8 bits, and inputs that it turns to 8 bits (kernels/src/packed/int8.h).
 * weight int8 (panels, taps, C / 4, 8, 4), scale float32 (O), weight_sums int32 (O); one group. */
#define WT_ARGS_conv_int8(F)                                                        \
  F(TENSOR, out) F(TENSOR, input) F(TENSOR, weight) F(TENSOR, scale)                \
  F(TENSOR, weight_sums) F(TENSOR, bias) F(TENSOR, residual) F(WORD, kernel0)       \
  F(WORD, kernel1) F(WORD, kernel2) WT_CONV_GEOMETRY(F) F(WORD, activation)         \
  F(DOUBLE, p0) F(DOUBLE, p1)
#define WT_ARGS_pack_weight(F) F(TENSOR, weight) F(WORD, groups)

/* Pooling over (N, C, D, H, W). Indices are int64, flat in the D*H*W plane, as torch returns. */
#define WT_POOL_GEOMETRY(F)                                                         \
  F(WORD, kernel0) F(WORD, kernel1) F(WORD, kernel2) F(WORD, stride0)               \
  F(WORD, stride1) F(WORD, stride2) F(WORD, pad0) F(WORD, pad1) F(WORD, pad2)       \
  F(WORD, dilation0) F(WORD, dilation1) F(WORD, dilation2)
#define WT_ARGS_max_pool(F) \
  F(TENSOR, out) F(TENSOR, indices) F(TENSOR, input) WT_POOL_GEOMETRY(F)
#define WT_ARGS_max_pool_backward(F) F(TENSOR, grad_input) F(TENSOR, grad_out) F(TENSOR, indices)
#define WT_ARGS_avg_pool(F)                                                         \
  F(TENSOR, out) F(TENSOR, input) WT_POOL_GEOMETRY(F) F(WORD, count_include_pad)    \
  F(WORD, divisor_override)
#define WT_ARGS_avg_pool_backward(F)                                                \
  F(TENSOR, grad_input) F(TENSOR, grad_out) WT_POOL_GEOMETRY(F)                     \
  F(WORD, count_include_pad) F(WORD, divisor_override)
#define WT_ARGS_adaptive_avg_pool(F) F(TENSOR, out) F(TENSOR, input)
#define WT_ARGS_adaptive_avg_pool_backward(F) F(TENSOR, grad_input) F(TENSOR, grad_out)
#define WT_ARGS_adaptive_max_pool(F) F(TENSOR, out) F(TENSOR, indices) F(TENSOR, input)

/* Softmax over one dimension; `log` selects log_softmax. */
#define WT_ARGS_softmax(F) F(TENSOR, out) F(TENSOR, self) F(WORD, dim) F(WORD, log)
#define WT_ARGS_softmax_backward(F) \
  F(TENSOR, grad_input) F(TENSOR, grad_out) F(TENSOR, out) F(WORD, dim) F(WORD, log)

/* softmax(scale * query key^T + mask) value over the last two dimensions, all of one rank of at least
 * three and float32: query (..., heads, L, E), key (..., H, S, E), value (..., H, S, V), out
 * (..., heads, L, V); heads is a multiple of H, whose entries equal groups share. mask (..., heads, L,
 * S) is added, or is bool and true where attention is allowed, or absent. causal: position i sees
 * keys 0..i alone. A position that sees no key gives zeros. Any strides. */
#define WT_ARGS_attention(F)                                                        \
  F(TENSOR, out) F(TENSOR, query) F(TENSOR, key) F(TENSOR, value) F(TENSOR, mask)   \
  F(DOUBLE, scale) F(WORD, causal)

/* One layer of a recurrent network in one direction over T steps, float32, any strides: out (T, B,
 * H); projected (T, B, gates * H) is the inputs' part of the gates, with its bias; hidden and cell
 * (B, H) are the state before the first step and last_hidden, last_cell that after the last one;
 * weight (gates * H, H) and bias (gates * H, or absent) are those of the recurrence. reverse: from
 * step T - 1 down. Gates in torch's order: i, f, g, o, and r, z, n. */
#define WT_ARGS_lstm_sequence(F)                                                    \
  F(TENSOR, out) F(TENSOR, last_hidden) F(TENSOR, last_cell) F(TENSOR, projected)   \
  F(TENSOR, hidden) F(TENSOR, cell) F(TENSOR, weight) F(TENSOR, bias) F(WORD, reverse)
#define WT_ARGS_gru_sequence(F)                                                     \
  F(TENSOR, out) F(TENSOR, last_hidden) F(TENSOR, projected) F(TENSOR, hidden)      \
  F(TENSOR, weight) F(TENSOR, bias) F(WORD, reverse)

/* Layer norm over the rows of input (R, C), contiguous; weight and bias (C) or absent; mean and
 * rstd (R). The backward writes whichever gradients are present. */
#define WT_ARGS_layer_norm(F)                                                       \
  F(TENSOR, out) F(TENSOR, mean) F(TENSOR, rstd) F(TENSOR, input) F(TENSOR, weight) \
  F(TENSOR, bias) F(DOUBLE, eps)
#define WT_ARGS_layer_norm_backward(F)                                              \
  F(TENSOR, grad_input) F(TENSOR, grad_weight) F(TENSOR, grad_bias)                 \
  F(TENSOR, grad_out) F(TENSOR, input) F(TENSOR, mean) F(TENSOR, rstd) F(TENSOR, weight)

/* Batch norm over input (N, C, S), any strides. Training: batch statistics go to save_mean and
 * save_invstd, and into the running ones (unbiased variance) where present. Otherwise the running
 * statistics are used. */
#define WT_ARGS_batch_norm(F)                                                       \
  F(TENSOR, out) F(TENSOR, save_mean) F(TENSOR, save_invstd) F(TENSOR, input)       \
  F(TENSOR, weight) F(TENSOR, bias) F(TENSOR, running_mean) F(TENSOR, running_var)  \
  F(WORD, training) F(DOUBLE, momentum) F(DOUBLE, eps)
#define WT_ARGS_batch_norm_backward(F)                                              \
  F(TENSOR, grad_input) F(TENSOR, grad_weight) F(TENSOR, grad_bias)                 \
  F(TENSOR, grad_out) F(TENSOR, input) F(TENSOR, weight) F(TENSOR, mean)            \
  F(TENSOR, invstd) F(WORD, training)

/* Indexing. gather/scatter: as torch, `index` int64 of the rank of self. A scatter without src
 * takes `value`. */
#define WT_ARGS_gather(F) F(TENSOR, out) F(TENSOR, self) F(TENSOR, index) F(WORD, dim)
#define WT_ARGS_scatter(F)                                                          \
  F(TENSOR, out) F(TENSOR, index) F(TENSOR, src) F(WORD, dim) F(WORD, mode)         \
  F(SCALAR, value)
#define WT_ARGS_index_select(F) F(TENSOR, out) F(TENSOR, self) F(TENSOR, index) F(WORD, dim)
/* Adds index * stride to each element of out (int64, same shape; index may be expanded), wrapping
 * negative indices and checking them against size. */
#define WT_ARGS_index_offset(F) \
  F(TENSOR, out) F(TENSOR, index) F(WORD, dim) F(WORD, size) F(WORD, stride)
/* out[p] = self.data[p . self.stride + offsets[p]]; all of one shape, self with stride 0 in the
 * indexed dimensions. The scatter writes or accumulates into self the same way. */
#define WT_ARGS_gather_offsets(F) F(TENSOR, out) F(TENSOR, self) F(TENSOR, offsets)
#define WT_ARGS_scatter_offsets(F) \
  F(TENSOR, self) F(TENSOR, offsets) F(TENSOR, values) F(WORD, accumulate)
/* out (count, ndim) int64, row-major order; count must match (see reduce count_nonzero). */
#define WT_ARGS_nonzero(F) F(TENSOR, out) F(TENSOR, self)
#define WT_ARGS_sort(F)                                                             \
  F(TENSOR, values) F(TENSOR, indices) F(TENSOR, self) F(WORD, dim) F(WORD, descending)
#define WT_ARGS_topk(F)                                                             \
  F(TENSOR, values) F(TENSOR, indices) F(TENSOR, self) F(WORD, k) F(WORD, dim)      \
  F(WORD, largest)
/* out int64 of the shape of values; sorted's innermost dimension is sorted, its others equal those
 * of values or it is 1-d. */
#define WT_ARGS_searchsorted(F) F(TENSOR, out) F(TENSOR, sorted) F(TENSOR, values) F(WORD, right)

/* Random numbers. `generator` is the address of a wt_generator. uniform [p0, p1); normal mean p0,
 * std p1; integers [low, low + range); bernoulli probability p0; *_tensor reads `a` (and `b`). */
#define WT_ARGS_random(F)                                                           \
  F(TENSOR, out) F(TENSOR, a) F(TENSOR, b) F(ADDRESS, generator) F(WORD, op)        \
  F(DOUBLE, p0) F(DOUBLE, p1) F(SCALAR, low) F(SCALAR, range)
#define WT_ARGS_seed(F) F(ADDRESS, generator) F(SCALAR, seed)

/* Optimizers: one step in place on dense tensors of one shape and dtype; absent tensors switch the
 * term off. Formulas of torch.optim. */
#define WT_ARGS_sgd(F)                                                              \
  F(TENSOR, param) F(TENSOR, grad) F(TENSOR, momentum_buffer) F(DOUBLE, lr)         \
  F(DOUBLE, momentum) F(DOUBLE, dampening) F(DOUBLE, weight_decay) F(WORD, nesterov) \
  F(WORD, maximize) F(WORD, first)
#define WT_ARGS_adam(F)                                                             \
  F(TENSOR, param) F(TENSOR, grad) F(TENSOR, exp_avg) F(TENSOR, exp_avg_sq)         \
  F(TENSOR, max_exp_avg_sq) F(DOUBLE, lr) F(DOUBLE, beta1) F(DOUBLE, beta2)         \
  F(DOUBLE, eps) F(DOUBLE, weight_decay) F(WORD, decoupled) F(WORD, maximize) F(WORD, step)
#define WT_ARGS_rmsprop(F)                                                          \
  F(TENSOR, param) F(TENSOR, grad) F(TENSOR, square_avg) F(TENSOR, momentum_buffer) \
  F(TENSOR, grad_avg) F(DOUBLE, lr) F(DOUBLE, alpha) F(DOUBLE, eps)                 \
  F(DOUBLE, weight_decay) F(DOUBLE, momentum) F(WORD, maximize)

/* Dense linear algebra on batches: the same batch dimensions in front of every tensor, each float32
 * or float64, any strides; computed in double. info (int32, one a matrix): 0, or where it failed;
 * pivots int32, 1-based, of LAPACK. An absent output is not computed.
 * lu_factor: out packs L and U. lu_permutation: int64 rows. solve_triangular: a out = b. cholesky:
 * out lower, from the lower triangle. geqrf, apply_reflectors: LAPACK's packed reflectors (the second
 * is H_1 ... H_k other, or the transposed product). eigh: lower triangle, values ascending. svd: u
 * (M, K or M), s (K) descending, vh (K or N, N), K = min(M, N). ldl: Bunch-Kaufman, lower. */
#define WT_ARGS_lu_factor(F) F(TENSOR, out) F(TENSOR, pivots) F(TENSOR, info) F(TENSOR, self)
#define WT_ARGS_lu_permutation(F) F(TENSOR, permutation) F(TENSOR, pivots)
#define WT_ARGS_solve_triangular(F) \
  F(TENSOR, out) F(TENSOR, a) F(TENSOR, b) F(WORD, upper) F(WORD, unitriangular)
#define WT_ARGS_cholesky(F) F(TENSOR, out) F(TENSOR, info) F(TENSOR, self)
#define WT_ARGS_geqrf(F) F(TENSOR, out) F(TENSOR, tau) F(TENSOR, self)
#define WT_ARGS_apply_reflectors(F) \
  F(TENSOR, out) F(TENSOR, a) F(TENSOR, tau) F(TENSOR, other) F(WORD, transpose)
#define WT_ARGS_eigh(F) F(TENSOR, values) F(TENSOR, vectors) F(TENSOR, info) F(TENSOR, self)
#define WT_ARGS_svd(F) \
  F(TENSOR, u) F(TENSOR, s) F(TENSOR, vh) F(TENSOR, info) F(TENSOR, self)
#define WT_ARGS_ldl_factor(F) F(TENSOR, out) F(TENSOR, pivots) F(TENSOR, info) F(TENSOR, self)
#define WT_ARGS_ldl_solve(F) F(TENSOR, out) F(TENSOR, ld) F(TENSOR, pivots) F(TENSOR, b)

/* A program of pointwise steps over one output: what a model's code calls in place of a chain of the
 * kernels above. `program` is int32 (steps, WT_STEP_WORDS), rows of (kind, op, result, a, b, c, p0,
 * p1): kind 0 unary, 1 binary, 2 ternary, with the operators and parameters of those kernels;
 * result is a register from 0 on, or -1, in the last step alone, for out. An operand is an input (0
 * to WT_PROGRAM_INPUTS - 1), a register (WT_PROGRAM_INPUTS + register), or the number parameters[p]
 * (-1 - p), rounded to float32. p0 and p1 are positions in `parameters`, float64 (count). Inputs are
 * float32 or bool, of the shape of out (stride 0 where they repeat); those that are absent come last.
 * out may lie where an input of the same geometry lies. */
#define WT_PROGRAM_INPUTS 8
#define WT_PROGRAM_REGISTERS 16
#define WT_PROGRAM_STEPS 32
#define WT_STEP_WORDS 8
#define WT_ARGS_pointwise_program(F)                                                \
  F(TENSOR, out) F(TENSOR, in0) F(TENSOR, in1) F(TENSOR, in2) F(TENSOR, in3)        \
  F(TENSOR, in4) F(TENSOR, in5) F(TENSOR, in6) F(TENSOR, in7) F(TENSOR, program)    \
  F(TENSOR, parameters)

/* Runs an empty job on the pool `count` times: for latency measurements and tests. */
#define WT_ARGS_noop(F) F(WORD, count)

/* ---- kernels ------------------------------------------------------------------------------- */
/* K(name, version): function wt_<name>, struct wt_<name>_args, import name "<name>@<version>". */
#define WT_KERNELS(K)                                                                             \
  K(noop, 1) K(unary, 1) K(unary_contiguous, 1) K(binary, 1) K(binary_contiguous, 1)              \
  K(ternary, 1) K(copy, 1) K(fill, 1) K(arange, 1) K(linspace, 1) K(triangle, 1) K(reduce, 1)     \
  K(arg_reduce, 1) K(scan, 1) K(gemm, 1) K(conv, 1) K(conv_backward_input, 1)                     \
  K(conv_backward_weight, 1) K(max_pool, 1) K(max_pool_backward, 1) K(avg_pool, 1)                \
  K(avg_pool_backward, 1) K(adaptive_avg_pool, 1) K(adaptive_avg_pool_backward, 1)                \
  K(adaptive_max_pool, 1) K(softmax, 1) K(softmax_backward, 1) K(layer_norm, 1)                   \
  K(layer_norm_backward, 1) K(batch_norm, 1) K(batch_norm_backward, 1) K(gather, 1)               \
  K(scatter, 1) K(index_select, 1) K(index_offset, 1) K(gather_offsets, 1)                        \
  K(scatter_offsets, 1) K(nonzero, 1) K(sort, 1) K(topk, 1) K(searchsorted, 1) K(random, 1)       \
  K(seed, 1) K(sgd, 1) K(adam, 1) K(rmsprop, 1)                                                   \
  K(lu_factor, 1) K(lu_permutation, 1) K(solve_triangular, 1) K(cholesky, 1) K(geqrf, 1)          \
  K(apply_reflectors, 1) K(eigh, 1) K(svd, 1) K(ldl_factor, 1) K(ldl_solve, 1)        \
  K(attention, 1) K(lstm_sequence, 1) K(gru_sequence, 1) K(pointwise_program, 1)          \
  K(conv_packed, 1) K(pack_weight, 1) K(conv_int8, 1)

#define WT_STRUCT_FIELD(kind, name) WT_FIELD_TYPE_##kind name;
#define K(kernel, version)            \
  typedef struct wt_##kernel##_args { \
    wt_word size_bytes;               \
    WT_ARGS_##kernel(WT_STRUCT_FIELD) \
  } wt_##kernel##_args;
WT_KERNELS(K)
#undef K

#define K(kernel, version) WT_KERNEL_##kernel,
typedef enum wt_kernel { WT_KERNELS(K) WT_KERNEL_COUNT } wt_kernel;
#undef K

/* A kernel's definition: WT_KERNEL(gemm, 1) { const wt_gemm_args *args = arguments; ... } */
#if defined(__wasm__) && !defined(WT_HOSTED) /* hosted: a program with Emscripten's runtime */
#define WT_EXPORT(name) __attribute__((export_name(name), visibility("default")))
#else
#define WT_EXPORT(name) __attribute__((visibility("hidden")))
#endif
#define WT_KERNEL(name, version) \
  WT_EXPORT(#name "@" #version) int wt_##name(const void *arguments)

#define K(kernel, version) int wt_##kernel(const void *arguments);
WT_KERNELS(K)
#undef K

/* clang-format on */

/* ---- the port ------------------------------------------------------------------------------ */
/* The few functions through which a host calls the engine. In Pyodide they are entries of its
 * function table; on the desktop they are linked. A wrong signature ends a Pyodide session, so
 * this list is the only place that states them. */
#define WT_SUBMIT_WORDS 16

/* Copies sixteen words to the engine's argument slot and runs the kernel on them. */
int wt_submit(wt_word kernel, wt_word w0, wt_word w1, wt_word w2, wt_word w3, wt_word w4,
              wt_word w5, wt_word w6, wt_word w7, wt_word w8, wt_word w9, wt_word w10, wt_word w11,
              wt_word w12, wt_word w13, wt_word w14, wt_word w15);
/* Runs the kernel on arguments that are already in engine memory. */
int wt_run(wt_word kernel, wt_word arguments);
/* Dense storage, aligned to 64 bytes; 0 where memory does not suffice. */
wt_word wt_allocate(wt_word bytes);
void wt_release(wt_word address);
/* Address of the argument slot, which holds the largest argument struct. */
wt_word wt_argument_slot(void);
/* Address of three int64: the detail of the last status other than WT_OK. */
wt_word wt_error_detail(void);
/* Memory in bytes: 0 current, 1 peak, 2 reserved from the system, 3 limit (0: unknown). */
double wt_memory_stat(wt_word which);
void wt_reset_peak_memory(void);
/* Gives cached blocks back to the general heap; returns the bytes that became reusable. */
double wt_empty_cache(void);
/* CRC-32 (zlib's) of bytes that follow those of which `crc` is the checksum; 0 for none before. */
uint32_t wt_crc32(wt_word address, wt_word count, uint32_t crc);
/* Copies `count` elements; 16-bit floats become float32. The two may overlap where the results end
 * no later than the elements do, and in any way where the dtype stays. */
void wt_unpack(wt_word out, wt_word in, wt_word count, wt_word dtype);
/* Threads that take part in a job from now on (the caller included); returns the number in force,
 * which workers that are not ready yet may lower. */
wt_word wt_set_num_threads(wt_word count);
wt_word wt_get_num_threads(void);

/* State of a random generator: mt19937 (Matsumoto & Nishimura 1998). */
typedef struct wt_generator {
  uint64_t seed;
  int32_t left;
  int32_t seeded;
  uint32_t next;
  uint32_t has_normal; /* a second double-precision normal is waiting, as in torch */
  double normal;
  uint32_t state[624];
} wt_generator;

#endif
