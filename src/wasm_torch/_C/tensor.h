/* The extension's own types and the functions its files share.
 *
 * A Tensor is geometry (size, stride, offset) over a Storage, which is a block of engine memory.
 * The extension never dereferences an engine address: it reads and writes through the port.
 */
#ifndef WASM_TORCH_TENSOR_H
#define WASM_TORCH_TENSOR_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <structmember.h>

#include "wasm_torch/abi.h"

/* ---- references ----------------------------------------------------------------------------- */
/* Any object struct; the limited API's own helpers take PyObject pointers only. */
static inline void *new_ref(void *object) {
  Py_INCREF((PyObject *)object);
  return object;
}
static inline void *xnew_ref(void *object) {
  Py_XINCREF((PyObject *)object);
  return object;
}
/* Assigns before the old value is released, which may run arbitrary code. */
#define XSETREF(slot, value)             \
  do {                                   \
    PyObject *old_ = (PyObject *)(slot); \
    (slot) = (value);                    \
    Py_XDECREF(old_);                    \
  } while (0)

/* ---- port ---------------------------------------------------------------------------------- */
typedef struct Port {
  int (*submit)(wt_word, wt_word, wt_word, wt_word, wt_word, wt_word, wt_word, wt_word, wt_word,
                wt_word, wt_word, wt_word, wt_word, wt_word, wt_word, wt_word, wt_word);
  int (*run)(wt_word kernel, wt_word arguments);
  wt_word (*allocate)(wt_word bytes);
  void (*release)(wt_word address);
  wt_word (*argument_slot)(void);
  wt_word (*error_detail)(void);
  double (*memory_stat)(wt_word which);
  void (*reset_peak_memory)(void);
  double (*empty_cache)(void);
  wt_word (*set_num_threads)(wt_word count);
  wt_word (*get_num_threads)(void);
  void (*copy_in)(wt_word engine_address, const void *source, wt_word bytes);
  void (*copy_out)(void *destination, wt_word engine_address, wt_word bytes);
} Port;

extern Port port;

/* Runs a kernel on an argument struct that has room for at least WT_SUBMIT_WORDS words. Returns 0,
 * or -1 with a Python exception set. */
int call_kernel(wt_kernel kernel, void *arguments, size_t bytes);
int raise_status(int status, const char *kernel_name);
/* What torch's errors call a dtype: "Float" in torch.FloatTensor. */
const char *scalar_name(int64_t code);
PyObject *port_connect(PyObject *module, PyObject *args);
extern const char *const kernel_names[WT_KERNEL_COUNT];

/* An argument struct with the padding that a submit may read. */
#define KERNEL_ARGS(kernel)         \
  union {                           \
    wt_##kernel##_args args;        \
    wt_word words[WT_SUBMIT_WORDS]; \
  }

/* ---- dtype --------------------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD
  const char *name;
  int code;
  int itemsize;
} DType;

extern PyTypeObject *DType_Type;
extern PyObject *dtype_objects[WT_DTYPE_COUNT]; /* by code; NULL where unused */
extern int default_dtype;

int dtype_module_init(PyObject *module);
static inline bool dtype_is_floating(int code) {
  return code == WT_FLOAT16 || code == WT_FLOAT32 || code == WT_FLOAT64 || code == WT_BFLOAT16;
}
static inline bool dtype_is_integral(int code) { return code <= WT_INT64; } /* without bool */
int dtype_size(int code);
/* The code of a dtype object; -1 with TypeError otherwise. None gives `fallback`. */
int dtype_from_object(PyObject *object, int fallback);
int promote_types(int a, int b);
PyObject *dtype_to_object(int code); /* new reference */

/* ---- storage ------------------------------------------------------------------------------- */
typedef struct Storage {
  Py_ssize_t references;
  wt_word address;
  wt_word bytes;
  uint32_t version; /* bumped by every in-place operation; shared by all views */
  bool exported;    /* a buffer over the block was handed out, so it must stay where it is */
  PyObject *owner;  /* keeps foreign memory alive (desktop); NULL: engine memory */
} Storage;

Storage *storage_new(wt_word bytes);
Storage *storage_borrow(wt_word address, wt_word bytes, PyObject *owner);
/* MemoryError that names what was asked for and what is in use. */
void raise_out_of_memory(double bytes);
static inline Storage *storage_retain(Storage *storage) {
  storage->references++;
  return storage;
}
void storage_release(Storage *storage);

/* ---- tensor -------------------------------------------------------------------------------- */
struct Node;

typedef struct Tensor {
  PyObject_HEAD
  Storage *storage;
  wt_word offset; /* of element (0, ..., 0), in elements */
  wt_word numel;
  uint8_t dtype;
  uint8_t ndim;
  bool requires_grad; /* set on leaves; a tensor with a grad_fn requires it too */
  bool retains_grad;
  bool dense;     /* contiguous, row-major */
  bool untracked; /* in-place changes through it do not bump the version (`.data`) */
  bool inference;
  uint32_t output_nr;
  uint32_t view_version; /* storage version at which grad_fn of a view was made */
  struct Node *grad_fn;
  struct Node *accumulator; /* borrowed: the node clears it when it dies */
  PyObject *grad;
  PyObject *base; /* the tensor this is a view of, or NULL */
  PyObject *hooks;
  PyObject *weakrefs;
  wt_word size[WT_MAX_DIMS];
  wt_word stride[WT_MAX_DIMS];
} Tensor;

extern PyTypeObject *TensorBase_Type;
extern PyTypeObject *Tensor_Class; /* what C functions return: TensorBase or its Python subclass */

static inline bool tensor_check(PyObject *object) {
  return Py_TYPE(object) == Tensor_Class || PyType_IsSubtype(Py_TYPE(object), TensorBase_Type);
}
#define AS_TENSOR(object) ((Tensor *)(object))

static inline wt_word tensor_address(const Tensor *t) {
  /* Unsigned: wasm's addresses reach beyond the positive numbers of a word. */
  return (wt_word)((uintptr_t)t->storage->address +
                   (uintptr_t)t->offset * (uintptr_t)dtype_size(t->dtype));
}
static inline bool tensor_tracks_grad(const Tensor *t) {
  return t->requires_grad || t->grad_fn != NULL;
}

/* Recomputes numel and dense from size and stride; false where numel exceeds a word. */
bool tensor_update(Tensor *t);
/* New storage, row-major. */
Tensor *tensor_empty(int dtype, int ndim, const wt_word *size);
/* New storage with these strides (non-negative). */
Tensor *tensor_empty_strided(int dtype, int ndim, const wt_word *size, const wt_word *stride);
/* Another tensor on the same storage, without history. */
Tensor *tensor_alias(const Tensor *t);
Tensor *tensor_as_strided(const Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                          wt_word offset);
/* The same, tracked as a view of t (or of t's base). */
Tensor *tensor_view(Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                    wt_word offset);
void tensor_describe(const Tensor *t, wt_tensor *out);
void tensor_describe_absent(wt_tensor *out);
void tensor_bump(Tensor *t);
bool tensor_same_size(const Tensor *a, const Tensor *b);
/* A contiguous tensor of the same values (t itself, with a new reference, where it is one). */
Tensor *tensor_contiguous(Tensor *t);
Tensor *tensor_cast(Tensor *t, int dtype);
int tensor_copy_into(Tensor *out, Tensor *self);
extern PyGetSetDef tensor_getset[];
extern PyMethodDef tensor_methods[];
extern PyMethodDef *tensor_type_methods; /* the two tables of TensorBase's methods, as one */
int tensor_module_init(PyObject *module);

/* ---- arguments ----------------------------------------------------------------------------- */
extern PyTypeObject *Size_Type;
int size_module_init(PyObject *module);
PyObject *size_to_object(int ndim, const wt_word *size); /* a Size */
PyObject *words_to_tuple(int count, const wt_word *values);
PyObject *words_to_list(int count, const wt_word *values);
/* Reads a sequence of ints (or one int, where allow_scalar); returns the count or -1. */
int parse_words(PyObject *object, wt_word *out, bool allow_scalar, const char *what);
int wrap_dim(PyObject *dim_object, int ndim, int *dim);
int wrap_dim_value(long dim, int ndim, int *out);

/* Reads a dimension below `limit` without raising; false where it is out of range or no int. */
bool plain_dim(PyObject *object, int limit, int *out);

/* ---- views and indexing -------------------------------------------------------------------- */
PyObject *tensor_getitem(PyObject *self, PyObject *index);
int tensor_setitem(PyObject *self, PyObject *index, PyObject *value);
/* The strides of a view of `t` as `size`, or false where that needs a copy. */
bool view_strides(const Tensor *t, int ndim, const wt_word *size, wt_word *stride);

/* ---- pointwise, reductions, matmul --------------------------------------------------------- */
/* Broadcasts two shapes; returns ndim or -1 with torch's error. */
int broadcast_sizes(int ndim_a, const wt_word *a, int ndim_b, const wt_word *b, wt_word *out);
/* An output of this dtype whose strides follow the operands' (torch's TensorIterator rule). */
Tensor *pointwise_output(int dtype, int ndim, const wt_word *size, Tensor *const *operands,
                         int count);
/* Describes t as if expanded to `size`. */
void describe_expanded(const Tensor *t, int ndim, const wt_word *size, wt_tensor *out);
typedef struct Operand { /* a tensor or a Python number */
  Tensor *tensor;
  int number_dtype; /* bool, int64 or the default float dtype */
  wt_scalar number;
} Operand;
/* 1: understood, 0: neither tensor nor number, -1: error. */
int parse_operand(PyObject *object, Operand *out);
int result_dtype(const Operand *operands, int count);
/* Writes a number everywhere; RuntimeError where it does not fit the dtype. */
int tensor_fill(Tensor *out, const Operand *number);
Tensor *binary_raw(const Operand *a, const Operand *b, wt_binary_op op, double alpha,
                   int compute_dtype, int out_dtype);
Tensor *unary_raw(Tensor *self, wt_unary_op op, double p0, double p1, int out_dtype);
Tensor *reduce_raw(Tensor *self, wt_reduce_op op, const bool *reduced, bool keepdim, double p0,
                   int out_dtype);
Tensor *matmul_raw(Tensor *a, Tensor *b); /* 2-d by 2-d, one floating dtype */
PyObject *tensor_richcompare(PyObject *a, PyObject *b, int op);

/* ---- autograd ------------------------------------------------------------------------------ */
extern bool grad_mode;
extern bool inference_mode;
extern PyObject *dispatch_mode; /* NULL: none */

#define WT_OP_ARGS 32
typedef struct OpBase {
  PyObject_HEAD
  PyObject *name;
  PyObject *node_name;
  uint32_t tensor_mask; /* argument positions that hold differentiable tensors */
  uint32_t freed_mask;  /* positions of schema type Tensor: torch saves numbers there as tensors */
  /* What the gradient of the argument at each position wants: values of arguments, outputs. */
  uint32_t saved_for[WT_OP_ARGS];
  uint32_t outputs_for[WT_OP_ARGS];
} OpBase;

extern PyTypeObject *OpBase_Type;
extern PyTypeObject *Node_Type;

/* Records `op` if grad mode is on and an argument requires grad. 0, or -1 with an exception. */
int record(OpBase *op, PyObject *const *args, int count, Tensor *const *outputs, int output_count);
bool any_tracks_grad(PyObject *const *args, int count);
int row_module_init(PyObject *module);
int autograd_module_init(PyObject *module);
/* The node and output number through which gradients reach t; node is a new reference or NULL. */
int gradient_edge(Tensor *t, struct Node **node, uint32_t *output_nr);
void node_forget_variable(struct Node *node);

/* ---- dispatch to Python -------------------------------------------------------------------- */
/* Names which have a C fast path or a number slot. The ops table supplies the callable that takes
 * every other case. */
/* clang-format off */
#define SLOW_NAMES(X)                                                                             \
  X(add) X(sub) X(mul) X(div) X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(maximum) X(minimum) X(neg)    \
  X(abs) X(exp) X(log) X(sqrt) X(rsqrt) X(reciprocal) X(square) X(sin) X(cos) X(tanh) X(sigmoid)  \
  X(relu) X(sum) X(mean) X(matmul) X(mm) X(view) X(reshape) X(transpose) X(t) X(permute)          \
  X(unsqueeze) X(expand) X(select) X(add_) X(sub_) X(mul_) X(div_)          \
  X(rsub) X(rdiv) X(pow) X(rpow) X(pow_) X(floor_divide) X(rfloordiv) X(floor_divide_)            \
  X(remainder) X(rmod) X(remainder_) X(rmatmul) X(bitwise_and) X(bitwise_or) X(bitwise_xor)       \
  X(bitwise_and_) X(bitwise_or_) X(bitwise_xor_) X(bitwise_left_shift) X(bitwise_right_shift)     \
  X(bitwise_left_shift_) X(bitwise_right_shift_) X(rlshift) X(rrshift) X(bitwise_not)
/* clang-format on */
enum slow_name {
#define X(name) SLOW_##name,
  SLOW_NAMES(X)
#undef X
      SLOW_COUNT
};
extern PyObject *slow_callables[SLOW_COUNT];
PyObject *call_slow(enum slow_name name, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames);
PyObject *call_slow2(enum slow_name name, PyObject *a, PyObject *b);

/* Rows which the fast paths record. */
/* clang-format off */
#define FAST_ROWS(X)                                                                              \
  X(add) X(sub) X(rsub) X(mul) X(div) X(maximum) X(minimum) X(neg) X(abs) X(exp) X(log) X(sqrt)   \
  X(rsqrt) X(reciprocal) X(square) X(sin) X(cos) X(tanh) X(sigmoid) X(relu) X(sum) X(sum_dim)     \
  X(mean) X(mean_dim) X(mm) X(view) X(transpose) X(t) X(permute) X(unsqueeze) X(expand) X(select) \
  X(slice) X(alias) X(as_strided) X(as_strided_scatter)
/* clang-format on */
enum fast_row {
#define X(name) ROW_##name,
  FAST_ROWS(X)
#undef X
      ROW_COUNT
};
extern OpBase *fast_rows[ROW_COUNT]; /* NULL until the table supplies it */
int dispatch_module_init(PyObject *module);
extern PyObject *handler_getitem, *handler_setitem, *handler_move_retained;

/* The methods and functions that have fast paths. */
extern PyMethodDef fast_methods[];
extern PyMethodDef fast_functions[];
extern PyType_Slot number_slots[];

/* ---- conversions --------------------------------------------------------------------------- */
PyObject *tensor_item(Tensor *t);
PyObject *tensor_tolist(Tensor *t);
#if !defined(__EMSCRIPTEN__)
int tensor_getbuffer(PyObject *self, Py_buffer *view, int flags);
void tensor_releasebuffer(PyObject *self, Py_buffer *view);
#endif
int convert_module_init(PyObject *module);
int geometry_module_init(PyObject *module);
int raw_module_init(PyObject *module);
int launch_module_init(PyObject *module);

#endif
