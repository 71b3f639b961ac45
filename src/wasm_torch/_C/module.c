/* The extension module wasm_torch._C. */
#include "node.h"

#include <string.h>

static PyObject *set_tensor_class(PyObject *module, PyObject *object) {
  (void)module;
  if (!PyType_Check(object) || !PyType_IsSubtype((PyTypeObject *)object, TensorBase_Type)) {
    PyErr_SetString(PyExc_TypeError, "the tensor class must be a subclass of TensorBase");
    return NULL;
  }
  XSETREF(Tensor_Class, (PyTypeObject *)new_ref(object));
  Py_RETURN_NONE;
}

/* Descriptors and functions read their docstring from these tables each time. */
static void set_doc_in(PyMethodDef *table, const char *name, const char *text) {
  for (PyMethodDef *method = table; method->ml_name != NULL; method++) {
    if (strcmp(method->ml_name, name) == 0) method->ml_doc = text;
  }
}

static PyObject *set_doc(PyObject *module, PyObject *args) {
  (void)module;
  const char *name, *text;
  if (!PyArg_ParseTuple(args, "ss:set_doc", &name, &text)) return NULL;
  size_t bytes = strlen(text) + 1;
  char *kept = PyMem_Malloc(bytes); /* as long as the process: the tables are static */
  if (kept == NULL) return PyErr_NoMemory();
  memcpy(kept, text, bytes);
  set_doc_in(tensor_type_methods, name, kept);
  set_doc_in(fast_functions, name, kept);
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_doc", set_doc, METH_VARARGS, "The docstring of a fast operation's method and function."},
    {"set_tensor_class", set_tensor_class, METH_O, "The class that functions return."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_C",
    .m_doc = "Tensors over engine memory, and the fast paths of the hottest operations.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__C(void) {
  PyObject *module = PyModule_Create(&definition);
  if (module == NULL) return NULL;
  /* Types first: the functions of the others refer to them. */
  int (*const inits[])(PyObject *) = {
      dtype_module_init,    row_module_init,      node_module_init,     size_module_init,
      tensor_module_init,   autograd_module_init, dispatch_module_init, convert_module_init,
      geometry_module_init, raw_module_init,      launch_module_init,
  };
  for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
    if (inits[i](module) < 0) {
      Py_DECREF(module);
      return NULL;
    }
  }
  return module;
}
