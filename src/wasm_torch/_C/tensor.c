/* The tensor type: geometry over storage, its attributes, and the raw operations on geometry. */
#include "tensor.h"

#include <string.h>

#include "node.h"

PyTypeObject *TensorBase_Type;
PyTypeObject *Tensor_Class;
PyTypeObject *Size_Type;

/* ---- construction -------------------------------------------------------------------------- */
bool tensor_update(Tensor *t) {
  wt_word numel = 1;
  bool dense = true, too_large = false, empty = false;
  for (int d = t->ndim - 1; d >= 0; d--) {
    if (t->size[d] != 1 && t->stride[d] != numel) dense = false;
    if (t->size[d] == 0) {
      empty = true;
    } else {
      too_large |= __builtin_mul_overflow(numel, t->size[d], &numel);
    }
  }
  t->numel = empty ? 0 : numel;
  t->dense = dense || empty;
  return empty || !too_large;
}

static Tensor *tensor_allocate_object(PyTypeObject *type, int dtype, int ndim) {
  if (ndim > WT_MAX_DIMS) {
    PyErr_Format(PyExc_RuntimeError, "tensors of more than %d dimensions are not supported, got %d",
                 WT_MAX_DIMS, ndim);
    return NULL;
  }
  Tensor *t = (Tensor *)PyType_GenericAlloc(type, 0);
  if (t == NULL) return NULL;
  t->dtype = (uint8_t)dtype;
  t->ndim = (uint8_t)ndim;
  t->inference = inference_mode;
  return t;
}

/* The size beyond a word's range, as well as a double holds it. */
static void *raise_too_large(Tensor *t) {
  double bytes = dtype_size(t->dtype);
  for (int d = 0; d < t->ndim; d++) bytes *= (double)t->size[d];
  raise_out_of_memory(bytes);
  Py_DECREF(t);
  return NULL;
}

Tensor *tensor_empty(int dtype, int ndim, const wt_word *size) {
  Tensor *t = tensor_allocate_object(Tensor_Class, dtype, ndim);
  if (t == NULL) return NULL;
  wt_word extent = 1, bytes;
  bool too_large = false, empty = false;
  for (int d = ndim - 1; d >= 0; d--) {
    t->size[d] = size[d];
    t->stride[d] = extent;
    if (size[d] > 1) too_large |= __builtin_mul_overflow(extent, size[d], &extent);
    if (size[d] == 0) empty = true;
  }
  too_large |= __builtin_mul_overflow(extent, dtype_size(dtype), &bytes);
  if (too_large && !empty) return raise_too_large(t);
  t->numel = empty ? 0 : extent;
  t->dense = true;
  t->storage = storage_new(empty ? 0 : bytes);
  if (t->storage == NULL) {
    Py_DECREF(t);
    return NULL;
  }
  return t;
}

Tensor *tensor_empty_strided(int dtype, int ndim, const wt_word *size, const wt_word *stride) {
  Tensor *t = tensor_allocate_object(Tensor_Class, dtype, ndim);
  if (t == NULL) return NULL;
  wt_word last = 0, bytes, reach;
  bool empty = false, too_large = false;
  for (int d = 0; d < ndim; d++) {
    t->size[d] = size[d];
    t->stride[d] = stride[d];
    if (size[d] == 0) {
      empty = true;
      continue;
    }
    too_large |= __builtin_mul_overflow(size[d] - 1, stride[d], &reach);
    too_large |= __builtin_add_overflow(last, reach, &last);
  }
  too_large |= __builtin_add_overflow(last, 1, &last);
  too_large |= __builtin_mul_overflow(last, dtype_size(dtype), &bytes);
  too_large |= !tensor_update(t);
  if (too_large && !empty) return raise_too_large(t);
  t->storage = storage_new(empty ? 0 : bytes);
  if (t->storage == NULL) {
    Py_DECREF(t);
    return NULL;
  }
  return t;
}

Tensor *tensor_as_strided(const Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                          wt_word offset) {
  Tensor *alias = tensor_allocate_object(Tensor_Class, t->dtype, ndim);
  if (alias == NULL) return NULL;
  memcpy(alias->size, size, sizeof *size * (size_t)ndim);
  memcpy(alias->stride, stride, sizeof *stride * (size_t)ndim);
  alias->offset = offset;
  alias->inference = t->inference;
  alias->storage = storage_retain(t->storage);
  if (!tensor_update(alias)) {
    PyErr_SetString(PyExc_RuntimeError, "numel: integer multiplication overflow");
    Py_DECREF(alias);
    return NULL;
  }
  return alias;
}

Tensor *tensor_alias(const Tensor *t) {
  return tensor_as_strided(t, t->ndim, t->size, t->stride, t->offset);
}

Tensor *tensor_view(Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                    wt_word offset) {
  Tensor *view = tensor_as_strided(t, ndim, size, stride, offset);
  if (view == NULL) return NULL;
  view->base = new_ref(t->base != NULL ? t->base : (PyObject *)t);
  view->view_version = t->storage->version;
  view->untracked = t->untracked;
  return view;
}

void tensor_describe(const Tensor *t, wt_tensor *out) {
  out->data = tensor_address(t);
  out->dtype = t->dtype;
  out->ndim = t->ndim;
  out->numel = t->numel;
  memcpy(out->size, t->size, sizeof(wt_word) * t->ndim);
  memcpy(out->stride, t->stride, sizeof(wt_word) * t->ndim);
}

void tensor_describe_absent(wt_tensor *out) {
  out->data = 0;
  out->dtype = 0;
  out->ndim = -1;
  out->numel = 0;
}

void tensor_bump(Tensor *t) {
  if (!t->untracked) t->storage->version++;
}

bool tensor_same_size(const Tensor *a, const Tensor *b) {
  return a->ndim == b->ndim && memcmp(a->size, b->size, sizeof(wt_word) * a->ndim) == 0;
}

int tensor_copy_into(Tensor *out, Tensor *self) {
  KERNEL_ARGS(copy) call;
  tensor_describe(out, &call.args.out);
  describe_expanded(self, out->ndim, out->size, &call.args.self);
  if (out->numel == 0) return 0;
  return call_kernel(WT_KERNEL_copy, &call, sizeof call.args);
}

Tensor *tensor_contiguous(Tensor *t) {
  if (t->dense) return (Tensor *)new_ref(t);
  Tensor *out = tensor_empty(t->dtype, t->ndim, t->size);
  if (out != NULL && tensor_copy_into(out, t) < 0) Py_CLEAR(out);
  return out;
}

Tensor *tensor_cast(Tensor *t, int dtype) {
  if (t->dtype == dtype) return (Tensor *)new_ref(t);
  Tensor *operands[1] = {t};
  Tensor *out = pointwise_output(dtype, t->ndim, t->size, operands, 1);
  if (out != NULL && tensor_copy_into(out, t) < 0) Py_CLEAR(out);
  return out;
}

/* ---- helpers for arguments ----------------------------------------------------------------- */
PyObject *words_to_tuple(int count, const wt_word *values) {
  PyObject *tuple = PyTuple_New(count);
  for (int i = 0; tuple != NULL && i < count; i++) {
    PyObject *item = PyLong_FromSsize_t((Py_ssize_t)values[i]);
    if (item == NULL || PyTuple_SetItem(tuple, i, item) < 0) Py_CLEAR(tuple);
  }
  return tuple;
}

PyObject *words_to_list(int count, const wt_word *values) {
  PyObject *tuple = words_to_tuple(count, values);
  PyObject *list = tuple == NULL ? NULL : PySequence_List(tuple);
  Py_XDECREF(tuple);
  return list;
}

PyObject *size_to_object(int ndim, const wt_word *size) {
  PyObject *tuple = words_to_tuple(ndim, size);
  if (tuple == NULL) return NULL;
  PyObject *result = PyObject_CallFunctionObjArgs((PyObject *)Size_Type, tuple, NULL);
  Py_DECREF(tuple);
  return result;
}

static int parse_word(PyObject *item, wt_word *out) {
  if (tensor_check(item)) {
    PyObject *number = tensor_item(AS_TENSOR(item));
    if (number == NULL) return -1;
    int status = parse_word(number, out);
    Py_DECREF(number);
    return status;
  }
  Py_ssize_t value = PyNumber_AsSsize_t(item, PyExc_OverflowError);
  if (value == -1 && PyErr_Occurred()) return -1;
  *out = value;
  return 0;
}

int parse_words(PyObject *object, wt_word *out, bool allow_scalar, const char *what) {
  if (allow_scalar && PyLong_Check(object)) return parse_word(object, out) < 0 ? -1 : 1;
  if (!PyTuple_Check(object) && !PyList_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s must be tuple of ints, not %R", what, Py_TYPE(object));
    return -1;
  }
  Py_ssize_t count = PySequence_Size(object);
  if (count > WT_MAX_DIMS) {
    PyErr_Format(PyExc_RuntimeError,
                 "tensors of more than %d dimensions are not supported, got %zd", WT_MAX_DIMS,
                 count);
    return -1;
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *item = PyTuple_Check(object) ? PyTuple_GetItem(object, i) : PyList_GetItem(object, i);
    if (item == NULL || parse_word(item, &out[i]) < 0) return -1;
  }
  return (int)count;
}

int wrap_dim_value(long dim, int ndim, int *out) {
  long limit = ndim > 0 ? ndim : 1;
  if (dim < -limit || dim >= limit) {
    PyErr_Format(PyExc_IndexError,
                 "Dimension out of range (expected to be in range of [%ld, %ld], but got %ld)",
                 -limit, limit - 1, dim);
    return -1;
  }
  *out = (int)(dim < 0 ? dim + limit : dim);
  return 0;
}

int wrap_dim(PyObject *dim_object, int ndim, int *dim) {
  long value = PyLong_AsLong(dim_object);
  if (value == -1 && PyErr_Occurred()) return -1;
  return wrap_dim_value(value, ndim, dim);
}

/* ---- lifetime ------------------------------------------------------------------------------ */
static int tensor_traverse(PyObject *self, visitproc visit, void *arg) {
  Tensor *t = AS_TENSOR(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(t->grad_fn);
  Py_VISIT(t->grad);
  Py_VISIT(t->base);
  Py_VISIT(t->hooks);
  return 0;
}

static int tensor_clear(PyObject *self) {
  Tensor *t = AS_TENSOR(self);
  Py_CLEAR(t->grad_fn);
  Py_CLEAR(t->grad);
  Py_CLEAR(t->base);
  Py_CLEAR(t->hooks);
  return 0;
}

static void tensor_dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  Tensor *t = AS_TENSOR(self);
  PyObject_GC_UnTrack(self);
  if (t->weakrefs != NULL) PyObject_ClearWeakRefs(self);
  if (t->accumulator != NULL) node_forget_variable(t->accumulator);
  /* A long chain of backward nodes must not recurse through the deallocators. */
  if (t->grad_fn != NULL) {
    node_release_chain(t->grad_fn);
    t->grad_fn = NULL;
  }
  tensor_clear(self);
  storage_release(t->storage);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

/* TensorBase(other): a new object on the storage of `other`, of the class that is called. Used by
 * subclasses such as Parameter. */
static PyObject *tensor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  (void)kwargs;
  PyObject *source = NULL;
  if (PyTuple_Size(args) > 0) source = PyTuple_GetItem(args, 0);
  if (source == NULL || !tensor_check(source)) {
    PyErr_Format(PyExc_TypeError, "%R needs a tensor to alias; use tensor() to make one from data",
                 type);
    return NULL;
  }
  Tensor *other = AS_TENSOR(source);
  Tensor *t = tensor_allocate_object(type, other->dtype, other->ndim);
  if (t == NULL) return NULL;
  memcpy(t->size, other->size, sizeof t->size);
  memcpy(t->stride, other->stride, sizeof t->stride);
  t->offset = other->offset;
  t->numel = other->numel;
  t->dense = other->dense;
  t->inference = other->inference;
  t->storage = storage_retain(other->storage);
  return (PyObject *)t;
}

/* ---- attributes ---------------------------------------------------------------------------- */
static PyObject *get_shape(PyObject *self, void *closure) {
  (void)closure;
  return size_to_object(AS_TENSOR(self)->ndim, AS_TENSOR(self)->size);
}

static PyObject *get_dtype(PyObject *self, void *closure) {
  (void)closure;
  return dtype_to_object(AS_TENSOR(self)->dtype);
}

static PyObject *get_ndim(PyObject *self, void *closure) {
  (void)closure;
  return PyLong_FromLong(AS_TENSOR(self)->ndim);
}

static PyObject *get_itemsize(PyObject *self, void *closure) {
  (void)closure;
  return PyLong_FromLong(dtype_size(AS_TENSOR(self)->dtype));
}

static PyObject *get_nbytes(PyObject *self, void *closure) {
  (void)closure;
  return PyLong_FromSsize_t((Py_ssize_t)AS_TENSOR(self)->numel *
                            dtype_size(AS_TENSOR(self)->dtype));
}

static PyObject *get_requires_grad(PyObject *self, void *closure) {
  (void)closure;
  return PyBool_FromLong(tensor_tracks_grad(AS_TENSOR(self)));
}

static int set_requires_grad(PyObject *self, PyObject *value, void *closure) {
  (void)closure;
  Tensor *t = AS_TENSOR(self);
  int flag = value == NULL ? -1 : PyObject_IsTrue(value);
  if (flag < 0) return -1;
  if (t->grad_fn != NULL) {
    if (flag) return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "you can only change requires_grad flags of leaf variables. If you want to use "
                    "a computed variable in a subgraph that doesn't require differentiation use "
                    "var_no_grad = var.detach().");
    return -1;
  }
  if (flag && !dtype_is_floating(t->dtype)) {
    PyErr_SetString(PyExc_RuntimeError,
                    "only Tensors of floating point and complex dtype can require gradients");
    return -1;
  }
  if (flag && t->inference && !inference_mode) {
    PyErr_SetString(PyExc_RuntimeError,
                    "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                    "allowed.");
    return -1;
  }
  t->requires_grad = flag;
  return 0;
}

static PyObject *get_grad(PyObject *self, void *closure) {
  (void)closure;
  PyObject *grad = AS_TENSOR(self)->grad;
  return new_ref(grad != NULL ? grad : Py_None);
}

static int set_grad(PyObject *self, PyObject *value, void *closure) {
  (void)closure;
  Tensor *t = AS_TENSOR(self);
  if (value == NULL || value == Py_None) {
    Py_CLEAR(t->grad);
    return 0;
  }
  if (!tensor_check(value)) {
    PyObject *name = PyType_GetName(Py_TYPE(value));
    if (name != NULL) {
      PyErr_Format(PyExc_TypeError,
                   "assigned grad expected to be a Tensor or None but got grad of type %U", name);
      Py_DECREF(name);
    }
    return -1;
  }
  Tensor *grad = AS_TENSOR(value);
  if (value == self) {
    PyErr_SetString(PyExc_RuntimeError, "can't assign Variable as its own grad");
    return -1;
  }
  if (grad->dtype != t->dtype) {
    PyErr_Format(PyExc_RuntimeError,
                 "attempting to assign a gradient with dtype '%R' to a tensor with dtype '%R'. "
                 "Please ensure that the gradient and the tensor have the same dtype",
                 dtype_objects[grad->dtype], dtype_objects[t->dtype]);
    return -1;
  }
  if (!tensor_same_size(grad, t)) {
    PyObject *have = words_to_list(t->ndim, t->size), *got = words_to_list(grad->ndim, grad->size);
    PyErr_Format(PyExc_RuntimeError,
                 "attempting to assign a gradient of size '%R' to a tensor of size '%R'. Please "
                 "ensure that the gradient and the tensor are the same size",
                 got, have);
    Py_XDECREF(have);
    Py_XDECREF(got);
    return -1;
  }
  XSETREF(t->grad, new_ref(value));
  return 0;
}

static PyObject *get_grad_fn(PyObject *self, void *closure) {
  (void)closure;
  Tensor *t = AS_TENSOR(self);
  if (refresh_view_history(t) < 0) return NULL;
  return new_ref(t->grad_fn != NULL ? (PyObject *)t->grad_fn : Py_None);
}

static PyObject *get_is_leaf(PyObject *self, void *closure) {
  (void)closure;
  return PyBool_FromLong(AS_TENSOR(self)->grad_fn == NULL);
}

static PyObject *get_version(PyObject *self, void *closure) {
  (void)closure;
  Tensor *t = AS_TENSOR(self);
  if (t->inference) {
    PyErr_SetString(PyExc_RuntimeError, "Inference tensors do not track version counter.");
    return NULL;
  }
  return PyLong_FromUnsignedLong(t->untracked ? 0 : t->storage->version);
}

static PyObject *get_base(PyObject *self, void *closure) {
  (void)closure;
  PyObject *base = AS_TENSOR(self)->base;
  return new_ref(base != NULL ? base : Py_None);
}

static PyObject *get_data(PyObject *self, void *closure) {
  (void)closure;
  Tensor *alias = tensor_alias(AS_TENSOR(self));
  if (alias != NULL) alias->untracked = true;
  return (PyObject *)alias;
}

/* `t.data = other` replaces what the object stands for, and leaves its history alone. */
static int set_data(PyObject *self, PyObject *value, void *closure) {
  (void)closure;
  if (value == NULL || !tensor_check(value)) {
    PyErr_SetString(PyExc_TypeError, "Variable data has to be a tensor");
    return -1;
  }
  Tensor *t = AS_TENSOR(self), *other = AS_TENSOR(value);
  if (t->requires_grad && !dtype_is_floating(other->dtype)) {
    PyErr_SetString(
        PyExc_RuntimeError,
        "data set to a tensor that requires gradients must be floating point or complex "
        "dtype");
    return -1;
  }
  Storage *old = t->storage;
  t->storage = storage_retain(other->storage);
  storage_release(old);
  t->dtype = other->dtype;
  t->ndim = other->ndim;
  t->offset = other->offset;
  memcpy(t->size, other->size, sizeof t->size);
  memcpy(t->stride, other->stride, sizeof t->stride);
  tensor_update(t);
  if (t->accumulator != NULL) node_forget_variable(t->accumulator);
  return 0;
}

static PyObject *get_hooks(PyObject *self, void *closure) {
  (void)closure;
  PyObject *hooks = AS_TENSOR(self)->hooks;
  return new_ref(hooks != NULL ? hooks : Py_None);
}

static int set_hooks(PyObject *self, PyObject *value, void *closure) {
  (void)closure;
  XSETREF(AS_TENSOR(self)->hooks, xnew_ref(value == Py_None ? NULL : value));
  return 0;
}

static PyObject *get_flag(PyObject *self, void *closure) {
  const bool *flag = (const bool *)((const char *)self + (intptr_t)closure);
  return PyBool_FromLong(*flag);
}

static PyObject *get_output_nr(PyObject *self, void *closure) {
  (void)closure;
  return PyLong_FromUnsignedLong(AS_TENSOR(self)->output_nr);
}

static PyGetSetDef tensor_getset[] = {
    {"shape", get_shape, NULL, "The size of each dimension.", NULL},
    {"dtype", get_dtype, NULL, "The type of the elements.", NULL},
    {"ndim", get_ndim, NULL, "The number of dimensions.", NULL},
    {"itemsize", get_itemsize, NULL, "Bytes of one element.", NULL},
    {"nbytes", get_nbytes, NULL, "Bytes of all elements.", NULL},
    {"requires_grad", get_requires_grad, set_requires_grad,
     "Whether gradients are computed for this tensor.", NULL},
    {"grad", get_grad, set_grad, "The accumulated gradient, or None.", NULL},
    {"grad_fn", get_grad_fn, NULL, "The backward node that made this tensor, or None.", NULL},
    {"is_leaf", get_is_leaf, NULL, "Whether no recorded operation made this tensor.", NULL},
    {"retains_grad", get_flag, NULL, "Whether a non-leaf keeps its gradient.",
     (void *)offsetof(Tensor, retains_grad)},
    {"output_nr", get_output_nr, NULL, "Which output of grad_fn this is.", NULL},
    {"_version", get_version, NULL, "How many in-place operations changed the storage.", NULL},
    {"_base", get_base, NULL, "The tensor this is a view of, or None.", NULL},
    {"data", get_data, set_data, "The same values, outside of autograd.", NULL},
    {"_backward_hooks", get_hooks, set_hooks, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* ---- methods ------------------------------------------------------------------------------- */
static PyObject *words_method(PyObject *args, int ndim, const wt_word *values, bool as_size) {
  PyObject *dim_object = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : Py_None;
  if (dim_object == Py_None) {
    return as_size ? size_to_object(ndim, values) : words_to_tuple(ndim, values);
  }
  if (ndim == 0) {
    PyErr_Format(PyExc_IndexError, "Dimension specified as %S but tensor has no dimensions",
                 dim_object);
    return NULL;
  }
  int dim;
  if (wrap_dim(dim_object, ndim, &dim) < 0) return NULL;
  return PyLong_FromSsize_t((Py_ssize_t)values[dim]);
}

static PyObject *dim_argument(PyObject *args, PyObject *kwargs) {
  PyObject *dim = Py_None;
  static char *names[] = {"dim", NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", names, &dim)) return NULL;
  return Py_BuildValue("(O)", dim);
}

static PyObject *method_size(PyObject *self, PyObject *args, PyObject *kwargs) {
  PyObject *dim = dim_argument(args, kwargs);
  if (dim == NULL) return NULL;
  PyObject *result = words_method(dim, AS_TENSOR(self)->ndim, AS_TENSOR(self)->size, true);
  Py_DECREF(dim);
  return result;
}

static PyObject *method_stride(PyObject *self, PyObject *args, PyObject *kwargs) {
  PyObject *dim = dim_argument(args, kwargs);
  if (dim == NULL) return NULL;
  PyObject *result = words_method(dim, AS_TENSOR(self)->ndim, AS_TENSOR(self)->stride, false);
  Py_DECREF(dim);
  return result;
}

static PyObject *method_storage_offset(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyLong_FromSsize_t((Py_ssize_t)AS_TENSOR(self)->offset);
}

static PyObject *method_numel(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyLong_FromSsize_t((Py_ssize_t)AS_TENSOR(self)->numel);
}

static PyObject *method_dim(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyLong_FromLong(AS_TENSOR(self)->ndim);
}

static PyObject *method_element_size(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyLong_FromLong(dtype_size(AS_TENSOR(self)->dtype));
}

static PyObject *method_data_ptr(PyObject *self, PyObject *unused) {
  (void)unused;
  Tensor *t = AS_TENSOR(self);
  return PyLong_FromSize_t(t->numel == 0 ? 0 : (size_t)tensor_address(t));
}

static PyObject *method_storage_nbytes(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyLong_FromSsize_t((Py_ssize_t)AS_TENSOR(self)->storage->bytes);
}

static PyObject *method_storage_ptr(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyLong_FromSize_t((size_t)AS_TENSOR(self)->storage->address);
}

static PyObject *method_is_view(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyBool_FromLong(AS_TENSOR(self)->base != NULL);
}

static PyObject *method_is_inference(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyBool_FromLong(AS_TENSOR(self)->inference);
}

/* Channels-last: strides that decrease in the order of `order`. */
static bool strides_follow(const Tensor *t, const int *order) {
  wt_word expected = 1;
  for (int i = t->ndim - 1; i >= 0; i--) {
    int d = order[i];
    if (t->size[d] != 1 && t->stride[d] != expected) return false;
    expected *= t->size[d];
  }
  return true;
}

static PyObject *method_is_contiguous(PyObject *self, PyObject *args, PyObject *kwargs) {
  Tensor *t = AS_TENSOR(self);
  PyObject *format = Py_None;
  static char *names[] = {"memory_format", NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", names, &format)) return NULL;
  if (format == Py_None) return PyBool_FromLong(t->dense);
  PyObject *text = PyObject_Str(format);
  if (text == NULL) return NULL;
  static const int last2d[] = {0, 2, 3, 1}, last3d[] = {0, 2, 3, 4, 1};
  bool result = t->dense;
  if (PyUnicode_CompareWithASCIIString(text, "torch.channels_last") == 0) {
    result = t->ndim == 4 && strides_follow(t, last2d);
  } else if (PyUnicode_CompareWithASCIIString(text, "torch.channels_last_3d") == 0) {
    result = t->ndim == 5 && strides_follow(t, last3d);
  }
  Py_DECREF(text);
  return PyBool_FromLong(result);
}

static PyObject *method_requires_grad_(PyObject *self, PyObject *args, PyObject *kwargs) {
  int flag = 1;
  static char *names[] = {"requires_grad", NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p", names, &flag)) return NULL;
  PyObject *value = flag ? Py_True : Py_False;
  if (set_requires_grad(self, value, NULL) < 0) return NULL;
  return new_ref(self);
}

static PyObject *method_set_retains_grad(PyObject *self, PyObject *value) {
  int flag = PyObject_IsTrue(value);
  if (flag < 0) return NULL;
  AS_TENSOR(self)->retains_grad = flag;
  Py_RETURN_NONE;
}

static PyObject *method_item(PyObject *self, PyObject *unused) {
  (void)unused;
  return tensor_item(AS_TENSOR(self));
}

static PyObject *method_tolist(PyObject *self, PyObject *unused) {
  (void)unused;
  return tensor_tolist(AS_TENSOR(self));
}

#define KEYWORDS(function) (PyCFunction)(void (*)(void))(function)

static PyMethodDef tensor_methods[] = {
    {"size", KEYWORDS(method_size), METH_VARARGS | METH_KEYWORDS, "The size, or that of one dim."},
    {"stride", KEYWORDS(method_stride), METH_VARARGS | METH_KEYWORDS,
     "The strides in elements, or that of one dim."},
    {"storage_offset", method_storage_offset, METH_NOARGS, "Offset of the first element."},
    {"numel", method_numel, METH_NOARGS, "The number of elements."},
    {"nelement", method_numel, METH_NOARGS, "The number of elements."},
    {"dim", method_dim, METH_NOARGS, "The number of dimensions."},
    {"ndimension", method_dim, METH_NOARGS, "The number of dimensions."},
    {"element_size", method_element_size, METH_NOARGS, "Bytes of one element."},
    {"data_ptr", method_data_ptr, METH_NOARGS, "Engine address of the first element."},
    {"_storage_nbytes", method_storage_nbytes, METH_NOARGS, "Bytes of the storage."},
    {"_storage_ptr", method_storage_ptr, METH_NOARGS, "Engine address of the storage."},
    {"_is_view", method_is_view, METH_NOARGS, "Whether this is a view of another tensor."},
    {"is_inference", method_is_inference, METH_NOARGS, "Whether made in inference mode."},
    {"is_contiguous", KEYWORDS(method_is_contiguous), METH_VARARGS | METH_KEYWORDS,
     "Whether the elements lie densely in the order of memory_format."},
    {"requires_grad_", KEYWORDS(method_requires_grad_), METH_VARARGS | METH_KEYWORDS,
     "Sets requires_grad in place."},
    {"_set_retains_grad", method_set_retains_grad, METH_O, NULL},
    {"item", method_item, METH_NOARGS, "The only element as a Python number."},
    {"tolist", method_tolist, METH_NOARGS, "The elements as nested lists of Python numbers."},
    {NULL, NULL, 0, NULL},
};

static Py_ssize_t tensor_length(PyObject *self) {
  Tensor *t = AS_TENSOR(self);
  if (t->ndim == 0) {
    PyErr_SetString(PyExc_TypeError, "len() of a 0-d tensor");
    return -1;
  }
  return (Py_ssize_t)t->size[0];
}

static PyMemberDef tensor_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Tensor, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static Py_hash_t tensor_hash(PyObject *self) { return (Py_hash_t)((uintptr_t)self >> 4); }

/* ---- Size ---------------------------------------------------------------------------------- */
static PyObject *size_repr(PyObject *self) {
  PyObject *list = PySequence_List(self);
  if (list == NULL) return NULL;
  PyObject *text = PyUnicode_FromFormat("torch.Size(%R)", list);
  Py_DECREF(list);
  return text;
}

static PyObject *size_wrap(PyObject *tuple) {
  if (tuple == NULL || !PyTuple_Check(tuple)) return tuple;
  PyObject *size = PyObject_CallFunctionObjArgs((PyObject *)Size_Type, tuple, NULL);
  Py_DECREF(tuple);
  return size;
}

static PyObject *size_concat(PyObject *self, PyObject *other) {
  PyObject *a = PySequence_Tuple(self);
  if (a == NULL) return NULL;
  if (!PyTuple_Check(other)) {
    Py_DECREF(a);
    Py_RETURN_NOTIMPLEMENTED;
  }
  PyObject *b = PySequence_Tuple(other);
  Py_ssize_t count_a = PyTuple_Size(a), count_b = b == NULL ? 0 : PyTuple_Size(b);
  PyObject *joined = b == NULL ? NULL : PyTuple_New(count_a + count_b);
  for (Py_ssize_t i = 0; joined != NULL && i < count_a + count_b; i++) {
    PyObject *item = i < count_a ? PyTuple_GetItem(a, i) : PyTuple_GetItem(b, i - count_a);
    PyTuple_SetItem(joined, i, new_ref(item));
  }
  Py_DECREF(a);
  Py_XDECREF(b);
  return size_wrap(joined);
}

static PyObject *size_subscript(PyObject *self, PyObject *key) {
  if (PyLong_Check(key)) {
    Py_ssize_t index = PyLong_AsSsize_t(key), count = PyTuple_Size(self);
    if (index == -1 && PyErr_Occurred()) return NULL;
    if (index < 0) index += count;
    if (index < 0 || index >= count) {
      PyErr_SetString(PyExc_IndexError, "tuple index out of range");
      return NULL;
    }
    return new_ref(PyTuple_GetItem(self, index));
  }
  PyObject *exact = PySequence_Tuple(self);
  if (exact == NULL) return NULL;
  if (!PySlice_Check(key)) {
    PyObject *result = PyObject_GetItem(exact, key);
    Py_DECREF(exact);
    return result;
  }
  Py_ssize_t start, stop, step, count = PyTuple_Size(exact);
  if (PySlice_Unpack(key, &start, &stop, &step) < 0) {
    Py_DECREF(exact);
    return NULL;
  }
  Py_ssize_t length = PySlice_AdjustIndices(count, &start, &stop, step);
  PyObject *slice = PyTuple_New(length);
  for (Py_ssize_t i = 0; slice != NULL && i < length; i++) {
    PyTuple_SetItem(slice, i, new_ref(PyTuple_GetItem(exact, start + i * step)));
  }
  Py_DECREF(exact);
  return size_wrap(slice);
}

static PyObject *size_numel(PyObject *self, PyObject *unused) {
  (void)unused;
  PyObject *product = PyLong_FromLong(1);
  for (Py_ssize_t i = 0; product != NULL && i < PyTuple_Size(self); i++) {
    PyObject *next = PyNumber_Multiply(product, PyTuple_GetItem(self, i));
    XSETREF(product, next);
  }
  return product;
}

static PyMethodDef size_methods[] = {
    {"numel", size_numel, METH_NOARGS, "The product of the sizes."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot size_slots[] = {
    {Py_tp_repr, size_repr},
    {Py_tp_methods, size_methods},
    {Py_nb_add, size_concat},
    {Py_mp_subscript, size_subscript},
    {Py_tp_doc, "The sizes of a tensor's dimensions: a tuple of ints."},
    {0, NULL},
};

static PyType_Spec size_spec = {
    .name = "wasm_torch.Size",
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = size_slots,
};

/* ---- type ---------------------------------------------------------------------------------- */
static PyType_Slot tensor_fixed_slots[] = {
    {Py_tp_new, tensor_new},
    {Py_tp_dealloc, tensor_dealloc},
    {Py_tp_traverse, tensor_traverse},
    {Py_tp_clear, tensor_clear},
    {Py_tp_getset, tensor_getset},
    {Py_tp_members, tensor_members},
    {Py_tp_hash, tensor_hash},
    {Py_tp_richcompare, tensor_richcompare},
    {Py_mp_length, tensor_length},
    {Py_mp_subscript, tensor_getitem},
    {Py_mp_ass_subscript, tensor_setitem},
#if !defined(__EMSCRIPTEN__)
    {Py_bf_getbuffer, tensor_getbuffer},
    {Py_bf_releasebuffer, tensor_releasebuffer},
#endif
    {Py_tp_doc, "A strided array in engine memory."},
    {0, NULL},
};

static int count_slots(const PyType_Slot *slots) {
  int count = 0;
  while (slots[count].slot != 0) count++;
  return count;
}

static int count_methods(const PyMethodDef *methods) {
  int count = 0;
  while (methods[count].ml_name != NULL) count++;
  return count;
}

int tensor_module_init(PyObject *module) {
  PyObject *bases = PyTuple_Pack(1, (PyObject *)&PyTuple_Type);
  Size_Type = (PyTypeObject *)PyType_FromSpecWithBases(&size_spec, bases);
  Py_XDECREF(bases);
  if (Size_Type == NULL) return -1;
  if (PyModule_AddObjectRef(module, "Size", (PyObject *)Size_Type) < 0) return -1;

  /* The type keeps the method table, so it is allocated once and never freed. */
  int own = count_methods(tensor_methods), fast = count_methods(fast_methods);
  PyMethodDef *methods = PyMem_Calloc((size_t)(own + fast + 1), sizeof *methods);
  int fixed = count_slots(tensor_fixed_slots), numbers = count_slots(number_slots);
  PyType_Slot *slots = PyMem_Calloc((size_t)(fixed + numbers + 2), sizeof *slots);
  if (methods == NULL || slots == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  memcpy(methods, tensor_methods, (size_t)own * sizeof *methods);
  memcpy(methods + own, fast_methods, (size_t)fast * sizeof *methods);
  memcpy(slots, tensor_fixed_slots, (size_t)fixed * sizeof *slots);
  memcpy(slots + fixed, number_slots, (size_t)numbers * sizeof *slots);
  slots[fixed + numbers] = (PyType_Slot){Py_tp_methods, methods};
  PyType_Spec spec = {
      .name = "wasm_torch._C.TensorBase",
      .basicsize = sizeof(Tensor),
      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
      .slots = slots,
  };
  TensorBase_Type = (PyTypeObject *)PyType_FromSpec(&spec);
  PyMem_Free(slots);
  if (TensorBase_Type == NULL) return -1;
  Tensor_Class = (PyTypeObject *)new_ref(TensorBase_Type);
  return PyModule_AddObjectRef(module, "TensorBase", (PyObject *)TensorBase_Type);
}
