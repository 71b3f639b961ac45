/* The extension module wasm_torch._C. */
#include "node.h"

static PyObject *set_tensor_class(PyObject *module, PyObject *object) {
  (void)module;
  if (!PyType_Check(object) || !PyType_IsSubtype((PyTypeObject *)object, TensorBase_Type)) {
    PyErr_SetString(PyExc_TypeError, "the tensor class must be a subclass of TensorBase");
    return NULL;
  }
  XSETREF(Tensor_Class, (PyTypeObject *)new_ref(object));
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
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
