/* OpBase: what recording an operation needs to know of its row in the op table. */
#include "tensor.h"

PyTypeObject *OpBase_Type;

/* OpBase(name, node_name, wants, freed): `wants` maps the position of each differentiable argument
 * to (mask of argument values, mask of outputs) that its gradient is computed from; `freed` is the
 * mask of the arguments whose saved values go with the first backward pass. */
static int opbase_init(PyObject *self, PyObject *args, PyObject *kwargs) {
  OpBase *op = (OpBase *)self;
  PyObject *name, *node_name, *wants, *key, *value;
  unsigned int freed;
  static char *names[] = {"name", "node_name", "wants", "freed", NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "UUO!I", names, &name, &node_name, &PyDict_Type,
                                   &wants, &freed)) {
    return -1;
  }
  op->freed_mask = freed;
  XSETREF(op->name, new_ref(name));
  XSETREF(op->node_name, new_ref(node_name));
  op->tensor_mask = 0;
  Py_ssize_t cursor = 0;
  while (PyDict_Next(wants, &cursor, &key, &value)) {
    long position = PyLong_AsLong(key);
    unsigned int saved, outputs;
    if (position < 0 || position >= WT_OP_ARGS) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "argument position out of range");
      return -1;
    }
    if (!PyArg_ParseTuple(value, "II", &saved, &outputs)) return -1;
    op->tensor_mask |= 1u << position;
    op->saved_for[position] = saved;
    op->outputs_for[position] = outputs;
  }
  return 0;
}

static void opbase_dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  OpBase *op = (OpBase *)self;
  Py_CLEAR(op->name);
  Py_CLEAR(op->node_name);
  /* A subclass in Python has a collector's header, which only its own free function knows of. */
  freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(self);
  Py_DECREF(type);
}

static PyMemberDef opbase_members[] = {
    {"name", T_OBJECT, offsetof(OpBase, name), READONLY, "name and overload, such as 'add.Tensor'"},
    {"node_name", T_OBJECT, offsetof(OpBase, node_name), READONLY, "name of its backward nodes"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot opbase_slots[] = {
    {Py_tp_init, opbase_init},
    {Py_tp_dealloc, opbase_dealloc},
    {Py_tp_members, opbase_members},
    {Py_tp_doc, "What recording an operation needs to know of its row in the op table."},
    {0, NULL},
};

static PyType_Spec opbase_spec = {
    .name = "wasm_torch._C.OpBase",
    .basicsize = sizeof(OpBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = opbase_slots,
};

int row_module_init(PyObject *module) {
  OpBase_Type = (PyTypeObject *)PyType_FromSpec(&opbase_spec);
  if (OpBase_Type == NULL) return -1;
  return PyModule_AddObjectRef(module, "OpBase", (PyObject *)OpBase_Type);
}
