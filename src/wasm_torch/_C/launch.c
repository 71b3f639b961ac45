/* The raw operations offered to Python: kernels by name, and geometry without history. */
#include "tensor.h"

#include <string.h>

/* ---- kernels by field table ----------------------------------------------------------------- */
/* The kinds of a kernel's fields. Their offsets follow from the kinds by the rules of the C ABI. */
#define END_OF_FIELDS 0xff
#define KIND(kind, name) WT_FIELD_##kind,
#define K(kernel, version) \
  static const uint8_t kinds_##kernel[] = {WT_ARGS_##kernel(KIND) END_OF_FIELDS};
WT_KERNELS(K)
#undef K

static const uint8_t *const kernel_kinds[WT_KERNEL_COUNT] = {
#define K(kernel, version) kinds_##kernel,
    WT_KERNELS(K)
#undef K
};
static const size_t kernel_sizes[WT_KERNEL_COUNT] = {
#define K(kernel, version) sizeof(wt_##kernel##_args),
    WT_KERNELS(K)
#undef K
};

/* What a compiler needs to lay out a kernel's struct for another machine: names beside the kinds. */
#define FIELD_NAME(kind, name) #name,
#define K(kernel, version) \
  static const char *const names_##kernel[] = {WT_ARGS_##kernel(FIELD_NAME) NULL};
WT_KERNELS(K)
#undef K

static const char *const *const kernel_field_names[WT_KERNEL_COUNT] = {
#define K(kernel, version) names_##kernel,
    WT_KERNELS(K)
#undef K
};
static const char *const kind_names[] = {"tensor", "word", "address", "double", "scalar"};
static const int kernel_versions[WT_KERNEL_COUNT] = {
#define K(kernel, version) version,
    WT_KERNELS(K)
#undef K
};

union any_args {
#define K(kernel, version) wt_##kernel##_args kernel;
  WT_KERNELS(K)
#undef K
  wt_word words[WT_SUBMIT_WORDS];
};

static size_t align_up(size_t offset, size_t alignment) {
  return (offset + alignment - 1) & ~(alignment - 1);
}

static int pack_field(char *base, size_t *offset, int kind, PyObject *value) {
  switch (kind) {
    case WT_FIELD_TENSOR: {
      *offset = align_up(*offset, _Alignof(wt_tensor));
      wt_tensor *out = (wt_tensor *)(base + *offset);
      *offset += sizeof(wt_tensor);
      if (value == Py_None) {
        tensor_describe_absent(out);
      } else if (tensor_check(value)) {
        tensor_describe(AS_TENSOR(value), out);
      } else {
        PyErr_Format(PyExc_TypeError, "a kernel expects a tensor, not %R", Py_TYPE(value));
        return -1;
      }
      return 0;
    }
    case WT_FIELD_WORD:
    case WT_FIELD_ADDRESS: {
      *offset = align_up(*offset, _Alignof(wt_word));
      Py_ssize_t word = PyNumber_AsSsize_t(value, PyExc_OverflowError);
      if (word == -1 && PyErr_Occurred()) return -1;
      *(wt_word *)(base + *offset) = word;
      *offset += sizeof(wt_word);
      return 0;
    }
    case WT_FIELD_DOUBLE: {
      *offset = align_up(*offset, _Alignof(double));
      double number = PyFloat_AsDouble(value);
      if (number == -1.0 && PyErr_Occurred()) return -1;
      *(double *)(base + *offset) = number;
      *offset += sizeof(double);
      return 0;
    }
    default: {
      *offset = align_up(*offset, _Alignof(wt_scalar));
      Operand operand;
      if (parse_operand(value, &operand) <= 0 || operand.tensor != NULL) {
        PyErr_Format(PyExc_TypeError, "a kernel expects a number that fits int64, not %R", value);
        return -1;
      }
      memcpy(base + *offset, &operand.number, sizeof(wt_scalar));
      *offset += sizeof(wt_scalar);
      return 0;
    }
  }
}

static int kernel_number(PyObject *object) {
  if (PyLong_Check(object)) {
    long number = PyLong_AsLong(object);
    if (number >= 0 && number < WT_KERNEL_COUNT) return (int)number;
  } else if (PyUnicode_Check(object)) {
    for (int i = 0; i < WT_KERNEL_COUNT; i++) {
      if (PyUnicode_CompareWithASCIIString(object, kernel_names[i]) == 0) return i;
    }
  }
  PyErr_Format(PyExc_KeyError, "there is no kernel %R", object);
  return -1;
}

static PyObject *launch(PyObject *module, PyObject *const *args, Py_ssize_t nargs) {
  (void)module;
  int kernel = nargs > 0 ? kernel_number(args[0]) : -1;
  if (kernel < 0) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "launch() needs a kernel");
    return NULL;
  }
  union any_args call;
  size_t offset = sizeof(wt_word);
  Py_ssize_t i = 1;
  const uint8_t *kind = kernel_kinds[kernel];
  for (; *kind != END_OF_FIELDS && i < nargs; kind++, i++) {
    if (pack_field((char *)&call, &offset, *kind, args[i]) < 0) return NULL;
  }
  if (i != nargs || *kind != END_OF_FIELDS) {
    PyErr_Format(PyExc_TypeError, "%s: wrong number of arguments (%zd)", kernel_names[kernel],
                 nargs - 1);
    return NULL;
  }
  if (call_kernel((wt_kernel)kernel, &call, kernel_sizes[kernel]) < 0) return NULL;
  Py_RETURN_NONE;
}

/* ---- geometry ------------------------------------------------------------------------------- */
static PyObject *empty(PyObject *module, PyObject *args, PyObject *kwargs) {
  (void)module;
  PyObject *size_object, *dtype_object = Py_None, *stride_object = Py_None;
  static char *names[] = {"size", "dtype", "stride", NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO", names, &size_object, &dtype_object,
                                   &stride_object)) {
    return NULL;
  }
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int dtype = dtype_from_object(dtype_object, default_dtype);
  int ndim = dtype < 0 ? -1 : parse_words(size_object, size, true, "empty(): argument 'size'");
  if (ndim < 0) return NULL;
  for (int d = 0; d < ndim; d++) {
    if (size[d] < 0) {
      PyObject *shape = words_to_tuple(ndim, size);
      PyObject *list = shape == NULL ? NULL : PySequence_List(shape);
      if (list != NULL) {
        PyErr_Format(PyExc_RuntimeError, "Trying to create tensor with negative dimension %zd: %R",
                     (Py_ssize_t)size[d], list);
      }
      Py_XDECREF(shape);
      Py_XDECREF(list);
      return NULL;
    }
  }
  if (stride_object == Py_None) return (PyObject *)tensor_empty(dtype, ndim, size);
  if (parse_words(stride_object, stride, false, "stride") != ndim) {
    if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_RuntimeError, "mismatch in length of strides and shape");
    }
    return NULL;
  }
  for (int d = 0; d < ndim; d++) {
    if (stride[d] < 0) {
      PyErr_SetString(PyExc_RuntimeError, "negative strides are not supported");
      return NULL;
    }
  }
  return (PyObject *)tensor_empty_strided(dtype, ndim, size, stride);
}

/* Checks that every element lies inside the storage. */
static int check_bounds(const Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                        wt_word offset) {
  int64_t last = offset;
  bool is_empty = false;
  for (int d = 0; d < ndim; d++) {
    if (size[d] == 0) is_empty = true;
    if (size[d] < 0 || stride[d] < 0) {
      PyErr_SetString(PyExc_RuntimeError,
                      "as_strided: Negative strides are not supported at the moment");
      return -1;
    }
    last += (int64_t)(size[d] - 1) * stride[d];
  }
  int64_t needed = (last + 1) * dtype_size(t->dtype);
  if (offset < 0 || (!is_empty && needed > t->storage->bytes)) {
    PyErr_Format(PyExc_RuntimeError,
                 "setStorage: the sizes, strides and storage offset %zd require a storage size of "
                 "%lld, which is out of bounds for storage of size %zd",
                 (Py_ssize_t)offset, (long long)needed, (Py_ssize_t)t->storage->bytes);
    return -1;
  }
  return 0;
}

static PyObject *strided(PyObject *args, bool tracked) {
  PyObject *t, *size_object, *stride_object;
  Py_ssize_t offset;
  if (!PyArg_ParseTuple(args, "O!OOn", TensorBase_Type, &t, &size_object, &stride_object,
                        &offset)) {
    return NULL;
  }
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int ndim = parse_words(size_object, size, false, "size");
  int count = ndim < 0 ? -1 : parse_words(stride_object, stride, false, "stride");
  if (count < 0) return NULL;
  if (count != ndim) {
    PyErr_SetString(PyExc_RuntimeError, "mismatch in length of strides and shape");
    return NULL;
  }
  if (check_bounds(AS_TENSOR(t), ndim, size, stride, offset) < 0) return NULL;
  return (PyObject *)(tracked ? tensor_view(AS_TENSOR(t), ndim, size, stride, offset)
                              : tensor_as_strided(AS_TENSOR(t), ndim, size, stride, offset));
}

static PyObject *as_strided(PyObject *module, PyObject *args) {
  (void)module;
  return strided(args, false);
}

static PyObject *view_of(PyObject *module, PyObject *args) {
  (void)module;
  return strided(args, true);
}

/* reinterpret(t, dtype, size, stride, offset): a tracked view of the same bytes as another dtype.
 */
static PyObject *reinterpret(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *t, *dtype_object, *size_object, *stride_object;
  Py_ssize_t offset;
  if (!PyArg_ParseTuple(args, "O!OOOn:reinterpret", TensorBase_Type, &t, &dtype_object,
                        &size_object, &stride_object, &offset)) {
    return NULL;
  }
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int dtype = dtype_from_object(dtype_object, -1);
  int ndim = dtype < 0 ? -1 : parse_words(size_object, size, false, "size");
  int count = ndim < 0 ? -1 : parse_words(stride_object, stride, false, "stride");
  if (count < 0) return NULL;
  Tensor *view = tensor_view(AS_TENSOR(t), 0, size, stride, 0);
  if (view == NULL) return NULL;
  view->dtype = (uint8_t)dtype;
  view->ndim = (uint8_t)ndim;
  view->offset = offset;
  memcpy(view->size, size, sizeof size);
  memcpy(view->stride, stride, sizeof stride);
  tensor_update(view);
  if (count != ndim || check_bounds(view, ndim, size, stride, offset) < 0) {
    if (count != ndim)
      PyErr_SetString(PyExc_RuntimeError, "mismatch in length of strides and shape");
    Py_DECREF(view);
    return NULL;
  }
  return (PyObject *)view;
}

/* set_geometry(t, size, stride, offset): the same tensor object over its storage in a new shape. */
static PyObject *set_geometry(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object, *size_object, *stride_object;
  Py_ssize_t offset;
  if (!PyArg_ParseTuple(args, "O!OOn:set_geometry", TensorBase_Type, &object, &size_object,
                        &stride_object, &offset)) {
    return NULL;
  }
  Tensor *t = AS_TENSOR(object);
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int ndim = parse_words(size_object, size, false, "size");
  int count = ndim < 0 ? -1 : parse_words(stride_object, stride, false, "stride");
  if (count < 0) return NULL;
  if (count != ndim) {
    PyErr_SetString(PyExc_RuntimeError, "mismatch in length of strides and shape");
    return NULL;
  }
  if (check_bounds(t, ndim, size, stride, offset) < 0) return NULL;
  t->ndim = (uint8_t)ndim;
  t->offset = offset;
  memcpy(t->size, size, sizeof(wt_word) * (size_t)ndim);
  memcpy(t->stride, stride, sizeof(wt_word) * (size_t)ndim);
  tensor_update(t);
  Py_RETURN_NONE;
}

/* resize_storage(t, bytes): grows the storage, keeping its contents; never shrinks it. */
static PyObject *resize_storage(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object;
  Py_ssize_t bytes;
  if (!PyArg_ParseTuple(args, "O!n:resize_storage", TensorBase_Type, &object, &bytes)) return NULL;
  Storage *storage = AS_TENSOR(object)->storage;
  if (bytes <= storage->bytes) Py_RETURN_NONE;
  if (storage->owner != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "Trying to resize storage that is not resizable");
    return NULL;
  }
  Storage *larger = storage_new(bytes);
  if (larger == NULL) return NULL;
  if (storage->bytes > 0) {
    wt_word size[1] = {storage->bytes};
    wt_word stride[1] = {1};
    Tensor *from = tensor_as_strided(AS_TENSOR(object), 1, size, stride, 0);
    Tensor *to = from == NULL ? NULL : tensor_as_strided(AS_TENSOR(object), 1, size, stride, 0);
    int status = -1;
    if (to != NULL) {
      from->dtype = to->dtype = WT_UINT8;
      storage_release(to->storage);
      to->storage = storage_retain(larger);
      status = tensor_copy_into(to, from);
    }
    Py_XDECREF((PyObject *)from);
    Py_XDECREF((PyObject *)to);
    if (status < 0) {
      storage_release(larger);
      return NULL;
    }
  }
  /* All views follow: they hold the Storage, whose block is exchanged. */
  wt_word old = storage->address;
  storage->address = larger->address;
  storage->bytes = larger->bytes;
  larger->address = old;
  storage_release(larger);
  Py_RETURN_NONE;
}

static Tensor *tensor_argument(PyObject *object, const char *function) {
  if (tensor_check(object)) return AS_TENSOR(object);
  PyErr_Format(PyExc_TypeError, "%s() expects a tensor, not %R", function, Py_TYPE(object));
  return NULL;
}

static PyObject *alias(PyObject *module, PyObject *object) {
  (void)module;
  Tensor *t = tensor_argument(object, "alias");
  return t == NULL ? NULL : (PyObject *)tensor_alias(t);
}

static PyObject *contiguous(PyObject *module, PyObject *object) {
  (void)module;
  Tensor *t = tensor_argument(object, "contiguous");
  return t == NULL ? NULL : (PyObject *)tensor_contiguous(t);
}

static PyObject *cast(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *t, *dtype_object;
  if (!PyArg_ParseTuple(args, "O!O:cast", TensorBase_Type, &t, &dtype_object)) return NULL;
  int dtype = dtype_from_object(dtype_object, -1);
  if (dtype < 0) return NULL;
  return (PyObject *)tensor_cast(AS_TENSOR(t), dtype);
}

static PyObject *copy_into(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *out, *self;
  if (!PyArg_ParseTuple(args, "O!O!:copy_into", TensorBase_Type, &out, TensorBase_Type, &self)) {
    return NULL;
  }
  Tensor *to = AS_TENSOR(out), *from = AS_TENSOR(self);
  wt_word size[WT_MAX_DIMS];
  int ndim = broadcast_sizes(to->ndim, to->size, from->ndim, from->size, size);
  if (ndim < 0) return NULL;
  if (ndim != to->ndim || memcmp(size, to->size, sizeof(wt_word) * (size_t)ndim) != 0) {
    PyObject *have = words_to_tuple(from->ndim, from->size);
    PyObject *want = words_to_tuple(to->ndim, to->size);
    PyErr_Format(PyExc_RuntimeError, "output with shape %R doesn't match the broadcast shape %R",
                 want, have);
    Py_XDECREF(have);
    Py_XDECREF(want);
    return NULL;
  }
  /* Overlapping memory: read everything before anything is written. */
  bool same_place = from->offset == to->offset && tensor_same_size(from, to) &&
                    memcmp(from->stride, to->stride, sizeof(wt_word) * to->ndim) == 0;
  Tensor *source = (Tensor *)new_ref(from);
  if (from->storage == to->storage && !same_place) {
    XSETREF(source, tensor_empty(from->dtype, from->ndim, from->size));
    if (source == NULL) return NULL;
    if (tensor_copy_into(source, from) < 0) {
      Py_DECREF(source);
      return NULL;
    }
  }
  int status = tensor_copy_into(to, source);
  Py_DECREF(source);
  if (status < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *flip(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object, *dims_object;
  if (!PyArg_ParseTuple(args, "O!O:flip", TensorBase_Type, &object, &dims_object)) return NULL;
  Tensor *t = AS_TENSOR(object);
  wt_word dims[WT_MAX_DIMS];
  int count = parse_words(dims_object, dims, true, "flip(): argument 'dims'");
  if (count < 0) return NULL;
  Tensor *operands[1] = {t};
  Tensor *out = pointwise_output(t->dtype, t->ndim, t->size, operands, 1);
  if (out == NULL || out->numel == 0) return (PyObject *)out;
  KERNEL_ARGS(copy) call;
  tensor_describe(out, &call.args.out);
  tensor_describe(t, &call.args.self);
  for (int i = 0; i < count; i++) {
    int d;
    if (wrap_dim_value((long)dims[i], t->ndim, &d) < 0) {
      Py_DECREF(out);
      return NULL;
    }
    if (t->ndim == 0) continue;
    call.args.self.data += (t->size[d] - 1) * t->stride[d] * dtype_size(t->dtype);
    call.args.self.stride[d] = -t->stride[d];
  }
  if (call_kernel(WT_KERNEL_copy, &call, sizeof call.args) < 0) Py_CLEAR(out);
  return (PyObject *)out;
}

/* ---- raw pointwise and reductions ----------------------------------------------------------- */
static PyObject *raw_unary(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *t, *dtype_object = Py_None;
  int op;
  double p0 = 0.0, p1 = 0.0;
  if (!PyArg_ParseTuple(args, "O!i|ddO:unary", TensorBase_Type, &t, &op, &p0, &p1, &dtype_object)) {
    return NULL;
  }
  if (op < 0 || op >= WT_UNARY_COUNT) {
    PyErr_Format(PyExc_ValueError, "there is no unary operator %d", op);
    return NULL;
  }
  int out_dtype = dtype_from_object(dtype_object, AS_TENSOR(t)->dtype);
  if (out_dtype < 0) return NULL;
  return (PyObject *)unary_raw(AS_TENSOR(t), (wt_unary_op)op, p0, p1, out_dtype);
}

static PyObject *raw_binary(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *a, *b, *compute_object = Py_None, *out_object = Py_None;
  int op;
  double alpha = 1.0;
  if (!PyArg_ParseTuple(args, "OOi|dOO:binary", &a, &b, &op, &alpha, &compute_object,
                        &out_object)) {
    return NULL;
  }
  Operand operands[2];
  if (op < 0 || op >= WT_BINARY_COUNT || parse_operand(a, &operands[0]) <= 0 ||
      parse_operand(b, &operands[1]) <= 0 ||
      (operands[0].tensor == NULL && operands[1].tensor == NULL)) {
    PyErr_SetString(PyExc_TypeError, "binary() needs two tensors, or a tensor and a number");
    return NULL;
  }
  int compute = dtype_from_object(compute_object, result_dtype(operands, 2));
  int out_dtype = compute < 0 ? -1 : dtype_from_object(out_object, compute);
  if (out_dtype < 0) return NULL;
  return (PyObject *)binary_raw(&operands[0], &operands[1], (wt_binary_op)op, alpha, compute,
                                out_dtype);
}

static PyObject *raw_reduce(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object, *dims_object = Py_None, *dtype_object = Py_None;
  int op, keepdim = 0;
  double p0 = 0.0;
  if (!PyArg_ParseTuple(args, "O!i|OpdO:reduce", TensorBase_Type, &object, &op, &dims_object,
                        &keepdim, &p0, &dtype_object)) {
    return NULL;
  }
  Tensor *t = AS_TENSOR(object);
  if (op < 0 || op >= WT_REDUCE_COUNT) {
    PyErr_Format(PyExc_ValueError, "there is no reduction %d", op);
    return NULL;
  }
  bool reduced[WT_MAX_DIMS];
  for (int d = 0; d < WT_MAX_DIMS; d++) reduced[d] = dims_object == Py_None;
  if (dims_object != Py_None) {
    wt_word dims[WT_MAX_DIMS];
    int count = parse_words(dims_object, dims, true, "argument 'dim'");
    if (count < 0) return NULL;
    for (int i = 0; i < count; i++) {
      int d;
      if (wrap_dim_value((long)dims[i], t->ndim, &d) < 0) return NULL;
      if (reduced[d]) {
        PyErr_Format(PyExc_RuntimeError, "dim %d appears multiple times in the list of dims", d);
        return NULL;
      }
      reduced[d] = true;
    }
    if (count == 0) {
      for (int d = 0; d < WT_MAX_DIMS; d++) reduced[d] = true;
    }
  }
  int out_dtype = dtype_from_object(dtype_object, t->dtype);
  if (out_dtype < 0) return NULL;
  return (PyObject *)reduce_raw(t, (wt_reduce_op)op, reduced, keepdim, p0, out_dtype);
}

static PyObject *py_result_type(PyObject *module, PyObject *const *args, Py_ssize_t nargs) {
  (void)module;
  Operand inline_operands[8];
  if (nargs < 1 || nargs > 8) {
    PyErr_SetString(PyExc_TypeError, "result_type() takes 1 to 8 tensors or numbers");
    return NULL;
  }
  for (Py_ssize_t i = 0; i < nargs; i++) {
    if (parse_operand(args[i], &inline_operands[i]) <= 0) {
      PyErr_Format(PyExc_TypeError, "result_type() expects tensors or numbers, not %R",
                   Py_TYPE(args[i]));
      return NULL;
    }
  }
  return dtype_to_object(result_dtype(inline_operands, (int)nargs));
}

static PyObject *py_broadcast_shapes(PyObject *module, PyObject *args) {
  (void)module;
  wt_word size[WT_MAX_DIMS], other[WT_MAX_DIMS], joined[WT_MAX_DIMS];
  int ndim = 0;
  for (Py_ssize_t i = 0; i < PyTuple_Size(args); i++) {
    int count = parse_words(PyTuple_GetItem(args, i), other, true, "shape");
    if (count < 0) return NULL;
    ndim = broadcast_sizes(ndim, size, count, other, joined);
    if (ndim < 0) return NULL;
    memcpy(size, joined, sizeof size);
  }
  return size_to_object(ndim, size);
}

/* ---- memory and threads --------------------------------------------------------------------- */
static PyObject *memory_stat(PyObject *module, PyObject *which) {
  (void)module;
  long number = PyLong_AsLong(which);
  if (number == -1 && PyErr_Occurred()) return NULL;
  return PyLong_FromDouble(port.memory_stat((wt_word)number));
}

static PyObject *reset_peak_memory(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  port.reset_peak_memory();
  Py_RETURN_NONE;
}

static PyObject *empty_cache(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyLong_FromDouble(port.empty_cache());
}

static PyObject *set_num_threads(PyObject *module, PyObject *count) {
  (void)module;
  if (!PyLong_Check(count) || PyBool_Check(count)) {
    PyErr_Format(PyExc_TypeError, "set_num_threads expects an int, but got %R", Py_TYPE(count));
    return NULL;
  }
  Py_ssize_t number = PyLong_AsSsize_t(count);
  if (number < 1) {
    PyErr_SetString(PyExc_RuntimeError, "set_num_threads expects a positive integer");
    return NULL;
  }
  return PyLong_FromSsize_t((Py_ssize_t)port.set_num_threads(number));
}

static PyObject *get_num_threads(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyLong_FromSsize_t((Py_ssize_t)port.get_num_threads());
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL
#define KEYWORDS(function) (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

static PyMethodDef functions[] = {
    {"launch", FAST(launch), "launch(kernel, *fields): runs a kernel on fields in abi.h's order."},
    {"empty", KEYWORDS(empty), "empty(size, dtype=None, stride=None): uninitialised storage."},
    {"as_strided", as_strided, METH_VARARGS, "as_strided(t, size, stride, offset): an alias."},
    {"view_of", view_of, METH_VARARGS, "view_of(t, size, stride, offset): a tracked view."},
    {"reinterpret", reinterpret, METH_VARARGS,
     "reinterpret(t, dtype, size, stride, offset): a view of the bytes as another dtype."},
    {"set_geometry", set_geometry, METH_VARARGS,
     "set_geometry(t, size, stride, offset): changes the tensor object itself."},
    {"resize_storage", resize_storage, METH_VARARGS,
     "resize_storage(t, bytes): grows the storage of a tensor and its views."},
    {"alias", alias, METH_O, "The same storage without history."},
    {"contiguous", contiguous, METH_O, "The tensor itself, or a row-major copy."},
    {"cast", cast, METH_VARARGS, "cast(t, dtype): the tensor itself, or a converted copy."},
    {"copy_into", copy_into, METH_VARARGS, "copy_into(out, source): broadcasts and converts."},
    {"flip", flip, METH_VARARGS, "flip(t, dims): a reversed copy."},
    {"unary", raw_unary, METH_VARARGS, "unary(t, op, p0=0, p1=0, out_dtype=None)"},
    {"binary", raw_binary, METH_VARARGS,
     "binary(a, b, op, alpha=1, compute_dtype=None, out_dtype=None)"},
    {"reduce", raw_reduce, METH_VARARGS,
     "reduce(t, op, dims=None, keepdim=False, p0=0, out_dtype=None)"},
    {"result_type", FAST(py_result_type), "The dtype of an operation on these operands."},
    {"broadcast_shapes", py_broadcast_shapes, METH_VARARGS, "The common shape."},
    {"memory_stat", memory_stat, METH_O, "0 current, 1 peak, 2 reserved, 3 limit, in bytes."},
    {"reset_peak_memory", reset_peak_memory, METH_NOARGS, "The peak becomes the current use."},
    {"empty_cache", empty_cache, METH_NOARGS, "Merges cached blocks; bytes made reusable."},
    {"set_num_threads", set_num_threads, METH_O, "Returns the number in force."},
    {"get_num_threads", get_num_threads, METH_NOARGS, "Threads that take part in a job."},
    {"connect", port_connect, METH_VARARGS, "Connects the engine's functions (Pyodide)."},
    {NULL, NULL, 0, NULL},
};

static int add_codes(PyObject *module, const char *attribute, const char *const *names, int count) {
  PyObject *codes = PyDict_New();
  for (int i = 0; codes != NULL && i < count; i++) {
    PyObject *number = PyLong_FromLong(i);
    if (number == NULL || PyDict_SetItemString(codes, names[i], number) < 0) Py_CLEAR(codes);
    Py_XDECREF(number);
  }
  if (codes == NULL) return -1;
  int status = PyModule_AddObjectRef(module, attribute, codes);
  Py_DECREF(codes);
  return status;
}

/* KERNEL_FIELDS: name -> ((field, kind), ...) in the order of abi.h; KERNEL_VERSIONS: name -> int. */
static PyObject *kernel_fields(int kernel) {
  Py_ssize_t count = 0;
  while (kernel_field_names[kernel][count] != NULL) count++;
  PyObject *fields = PyTuple_New(count);
  for (Py_ssize_t i = 0; fields != NULL && i < count; i++) {
    const char *kind = kind_names[kernel_kinds[kernel][i]];
    PyObject *field = Py_BuildValue("(ss)", kernel_field_names[kernel][i], kind);
    if (field == NULL || PyTuple_SetItem(fields, i, field) < 0) Py_CLEAR(fields);
  }
  return fields;
}

static int add_kernel_layouts(PyObject *module) {
  PyObject *fields = PyDict_New(), *versions = PyDict_New();
  int status = fields == NULL || versions == NULL ? -1 : 0;
  for (int i = 0; status == 0 && i < WT_KERNEL_COUNT; i++) {
    PyObject *row = kernel_fields(i), *version = PyLong_FromLong(kernel_versions[i]);
    if (row == NULL || version == NULL ||
        PyDict_SetItemString(fields, kernel_names[i], row) < 0 ||
        PyDict_SetItemString(versions, kernel_names[i], version) < 0) {
      status = -1;
    }
    Py_XDECREF(row);
    Py_XDECREF(version);
  }
  if (status == 0) status = PyModule_AddObjectRef(module, "KERNEL_FIELDS", fields);
  if (status == 0) status = PyModule_AddObjectRef(module, "KERNEL_VERSIONS", versions);
  Py_XDECREF(fields);
  Py_XDECREF(versions);
  return status;
}

#define NAME(name) #name,
#define CODES(attribute, list, count)                              \
  {                                                                \
    static const char *const names[] = {list(NAME)};               \
    if (add_codes(module, attribute, names, count) < 0) return -1; \
  }

int launch_module_init(PyObject *module) {
  if (add_codes(module, "KERNELS", kernel_names, WT_KERNEL_COUNT) < 0) return -1;
  if (add_kernel_layouts(module) < 0) return -1;
  CODES("UNARY", WT_UNARY_OPS, WT_UNARY_COUNT)
  CODES("BINARY", WT_BINARY_OPS, WT_BINARY_COUNT)
  CODES("TERNARY", WT_TERNARY_OPS, WT_TERNARY_COUNT)
  CODES("REDUCE", WT_REDUCE_OPS, WT_REDUCE_COUNT)
  CODES("SCAN", WT_SCAN_OPS, WT_SCAN_COUNT)
  CODES("SCATTER", WT_SCATTER_MODES, WT_SCATTER_COUNT)
  CODES("RANDOM", WT_RANDOM_OPS, WT_RANDOM_COUNT)
  return PyModule_AddFunctions(module, functions);
}
