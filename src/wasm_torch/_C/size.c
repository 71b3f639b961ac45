/* torch.Size: a tuple that prints and slices as its own kind. */
#include "tensor.h"

PyTypeObject *Size_Type;

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

PyObject *size_to_object(int ndim, const wt_word *size) {
  PyObject *tuple = words_to_tuple(ndim, size);
  if (tuple == NULL) return NULL;
  PyObject *result = PyObject_CallFunctionObjArgs((PyObject *)Size_Type, tuple, NULL);
  Py_DECREF(tuple);
  return result;
}

int size_module_init(PyObject *module) {
  PyObject *bases = PyTuple_Pack(1, (PyObject *)&PyTuple_Type);
  Size_Type = (PyTypeObject *)PyType_FromSpecWithBases(&size_spec, bases);
  Py_XDECREF(bases);
  if (Size_Type == NULL) return -1;
  return PyModule_AddObjectRef(module, "Size", (PyObject *)Size_Type);
}
