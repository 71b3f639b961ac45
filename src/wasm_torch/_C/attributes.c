/* The attributes and methods of tensors that say what they are, rather than compute. */
#include <string.h>

#include "node.h"

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
  if (refresh_view_history(AS_TENSOR(self)) < 0) return NULL;
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
  if (refresh_view_history(AS_TENSOR(self)) < 0) return NULL;
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

PyGetSetDef tensor_getset[] = {
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

PyMethodDef tensor_methods[] = {
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
