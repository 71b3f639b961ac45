/* The Node type: construction, what the backward engine reads of it, and its deallocation. */
#include "node.h"

#include <string.h>

PyTypeObject *Node_Type;
static uint64_t next_sequence_nr;

Node *node_new(PyObject *name, OpBase *op, int edge_count, int saved_count) {
  Node *node = (Node *)PyType_GenericAlloc(Node_Type, 0);
  if (node == NULL) return NULL;
  size_t edge_bytes = sizeof(Edge) * (size_t)edge_count;
  size_t saved_bytes = sizeof(Saved) * (size_t)saved_count;
  if (edge_bytes + saved_bytes > 0) {
    char *block = PyMem_Malloc(edge_bytes + saved_bytes);
    if (block == NULL) {
      Py_DECREF(node);
      PyErr_NoMemory();
      return NULL;
    }
    node->edges = (Edge *)block;
    node->saved = (Saved *)(block + edge_bytes);
    for (int i = 0; i < edge_count; i++) {
      node->edges[i].node = NULL;
      node->edges[i].leaf = NULL;
      node->edges[i].output_nr = 0;
      node->edges[i].metadata.present = false;
    }
    for (int i = 0; i < saved_count; i++) node->saved[i] = (Saved){NULL, 0, -1};
  }
  node->edge_count = edge_count;
  node->saved_count = saved_count;
  node->name = new_ref(name);
  node->op = (OpBase *)xnew_ref(op);
  node->sequence_nr = next_sequence_nr++;
  return node;
}

int node_set_output(Node *node, int index, const Tensor *t) {
  Metadata *metadata = &node->first_output;
  if (index > 0) {
    if (index >= node->output_count) {
      Metadata *grown = PyMem_Realloc(node->more_outputs, sizeof *grown * (size_t)index);
      if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
      }
      int known = node->output_count > 0 ? node->output_count - 1 : 0;
      for (int i = known; i < index; i++) grown[i].present = false;
      node->more_outputs = grown;
    }
    metadata = &node->more_outputs[index - 1];
  }
  if (index >= node->output_count) node->output_count = index + 1;
  metadata_of(t, metadata);
  return 0;
}

void node_forget_variable(Node *node) {
  if (node->variable != NULL) AS_TENSOR(node->variable)->accumulator = NULL;
}

/* ---- lifetime ------------------------------------------------------------------------------ */
/* Nodes hold nodes and tensors, which hold nodes: a long graph freed by plain recursion would
 * overflow the stack. References given up while an object is being freed wait in a list. */
static PyObject **pending;
static size_t pending_count, pending_capacity;
static bool draining;

static void release_later(PyObject *object) {
  if (object == NULL) return;
  if (pending_count == pending_capacity) {
    size_t capacity = pending_capacity == 0 ? 256 : pending_capacity * 2;
    PyObject **grown = PyMem_Realloc(pending, capacity * sizeof *pending);
    if (grown == NULL) {
      Py_DECREF(object);
      return;
    }
    pending = grown;
    pending_capacity = capacity;
  }
  pending[pending_count++] = object;
}

static void drain(void) {
  if (draining) return;
  draining = true;
  while (pending_count > 0) Py_DECREF(pending[--pending_count]);
  draining = false;
}

void node_release_chain(Node *node) {
  release_later((PyObject *)node);
  drain();
}

static int node_traverse(PyObject *self, visitproc visit, void *arg) {
  Node *node = (Node *)self;
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(node->op);
  Py_VISIT(node->variable);
  Py_VISIT(node->context);
  Py_VISIT(node->hooks);
  Py_VISIT(node->pre_hooks);
  for (int i = 0; i < node->edge_count; i++) {
    Py_VISIT(node->edges[i].node);
    Py_VISIT(node->edges[i].leaf);
  }
  for (int i = 0; i < node->saved_count; i++) Py_VISIT(node->saved[i].value);
  return 0;
}

static int node_clear(PyObject *self) {
  Node *node = (Node *)self;
  if (node->variable != NULL && AS_TENSOR(node->variable)->accumulator == node) {
    AS_TENSOR(node->variable)->accumulator = NULL;
  }
  release_later(node->variable);
  node->variable = NULL;
  release_later(node->context);
  node->context = NULL;
  for (int i = 0; i < node->edge_count; i++) {
    release_later((PyObject *)node->edges[i].node);
    release_later(node->edges[i].leaf);
    node->edges[i].node = NULL;
    node->edges[i].leaf = NULL;
  }
  node->released = true;
  for (int i = 0; i < node->saved_count; i++) {
    release_later(node->saved[i].value);
    node->saved[i].value = NULL;
  }
  Py_CLEAR(node->hooks);
  Py_CLEAR(node->pre_hooks);
  drain();
  return 0;
}

static void node_dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  Node *node = (Node *)self;
  PyObject_GC_UnTrack(self);
  if (node->weakrefs != NULL) PyObject_ClearWeakRefs(self);
  node_clear(self);
  Py_CLEAR(node->op);
  Py_CLEAR(node->name);
  PyMem_Free(node->edges != NULL ? (void *)node->edges : (void *)node->saved);
  PyMem_Free(node->more_outputs);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

/* Node(name, op=None, edges=(), context=None): a node of Python's own; its edges are those of the
 * tensors (None for no edge). */
static PyObject *node_construct(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  (void)type;
  PyObject *name, *op = Py_None, *tensors = NULL, *context = Py_None;
  static char *names[] = {"name", "op", "edges", "context", NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|OO!O", names, &name, &op, &PyTuple_Type,
                                   &tensors, &context)) {
    return NULL;
  }
  if (op != Py_None && !PyType_IsSubtype(Py_TYPE(op), OpBase_Type)) {
    PyErr_SetString(PyExc_TypeError, "op must be a row of the op table or None");
    return NULL;
  }
  int count = tensors == NULL ? 0 : (int)PyTuple_Size(tensors);
  Node *node = node_new(name, op == Py_None ? NULL : (OpBase *)op, count, 0);
  if (node == NULL) return NULL;
  if (context != Py_None) node->context = new_ref(context);
  for (int i = 0; i < count; i++) {
    PyObject *item = PyTuple_GetItem(tensors, i);
    if (!tensor_check(item)) continue;
    Tensor *t = AS_TENSOR(item);
    Edge *edge = &node->edges[i];
    metadata_of(t, &edge->metadata);
    if (edge_to(t, edge) < 0) {
      Py_DECREF(node);
      return NULL;
    }
  }
  return (PyObject *)node;
}

/* ---- what the engine reads ------------------------------------------------------------------ */
static PyObject *metadata_object(const Metadata *metadata) {
  if (!metadata->present) Py_RETURN_NONE;
  PyObject *size = size_to_object(metadata->ndim, metadata->size);
  if (size == NULL) return NULL;
  return Py_BuildValue("NO", size, dtype_objects[metadata->dtype]);
}

static PyObject *get_next_functions(PyObject *self, void *closure) {
  (void)closure;
  Node *node = (Node *)self;
  PyObject *tuple = PyTuple_New(node->edge_count);
  for (int i = 0; tuple != NULL && i < node->edge_count; i++) {
    Edge *edge = &node->edges[i];
    PyObject *target = new_ref(edge->node != NULL ? (PyObject *)edge->node : Py_None);
    if (edge->leaf != NULL) {
      Py_DECREF(target);
      target = (PyObject *)accumulator_of(AS_TENSOR(edge->leaf));
    }
    PyObject *item = target == NULL ? NULL : Py_BuildValue("NI", target, edge->output_nr);
    if (item == NULL || PyTuple_SetItem(tuple, i, item) < 0) Py_CLEAR(tuple);
  }
  return tuple;
}

static PyObject *get_metadata(PyObject *self, void *closure) {
  (void)closure;
  Node *node = (Node *)self;
  PyObject *tuple = PyTuple_New(node->edge_count);
  for (int i = 0; tuple != NULL && i < node->edge_count; i++) {
    PyObject *item = metadata_object(&node->edges[i].metadata);
    if (item == NULL || PyTuple_SetItem(tuple, i, item) < 0) Py_CLEAR(tuple);
  }
  return tuple;
}

static PyObject *get_output_metadata(PyObject *self, void *closure) {
  (void)closure;
  Node *node = (Node *)self;
  PyObject *tuple = PyTuple_New(node->output_count);
  for (int i = 0; tuple != NULL && i < node->output_count; i++) {
    PyObject *item = metadata_object(i == 0 ? &node->first_output : &node->more_outputs[i - 1]);
    if (item == NULL || PyTuple_SetItem(tuple, i, item) < 0) Py_CLEAR(tuple);
  }
  return tuple;
}

/* geometry(edge): (stride, storage offset) that the input of an edge had. */
static PyObject *node_geometry(PyObject *self, PyObject *edge_object) {
  Node *node = (Node *)self;
  long edge = PyLong_AsLong(edge_object);
  if (edge == -1 && PyErr_Occurred()) return NULL;
  if (edge < 0 || edge >= node->edge_count || !node->edges[edge].metadata.present) {
    PyErr_SetString(PyExc_IndexError, "the node has no such input");
    return NULL;
  }
  const Metadata *metadata = &node->edges[edge].metadata;
  PyObject *stride = words_to_tuple(metadata->ndim, metadata->stride);
  if (stride == NULL) return NULL;
  return Py_BuildValue("Nn", stride, (Py_ssize_t)metadata->offset);
}

static const char freed_text[] =
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward.";

PyObject *node_stem(const Node *node) {
  PyObject *suffix = PyUnicode_FromString("Backward");
  if (suffix == NULL) return NULL;
  Py_ssize_t length = PyUnicode_GetLength(node->name);
  Py_ssize_t end = PyUnicode_Find(node->name, suffix, 0, length, -1);
  Py_DECREF(suffix);
  return end == -2 ? NULL : PyUnicode_Substring(node->name, 0, end < 0 ? length : end);
}

static PyObject *describe_origin(const Node *maker, int output_nr) {
  PyObject *stem = node_stem(maker);
  if (stem == NULL) return NULL;
  PyObject *text = PyUnicode_FromFormat(", which is output %d of %U,", output_nr, stem);
  Py_DECREF(stem);
  return text;
}

static int check_version(const Node *node, const Saved *saved) {
  Tensor *t = AS_TENSOR(saved->value);
  if (t->storage->version == saved->version) return 0;
  PyObject *list = words_to_list(t->ndim, t->size);
  if (list == NULL) return -1;
  const Node *maker = saved->output_nr >= 0 ? node : t->grad_fn;
  int output_nr = saved->output_nr >= 0 ? saved->output_nr : (int)t->output_nr;
  PyObject *origin = maker == NULL ? PyUnicode_FromString("") : describe_origin(maker, output_nr);
  if (origin != NULL) {
    /* torch has tensor types for the dtypes of its early days. */
    bool legacy = t->dtype != WT_BOOL && t->dtype != WT_BFLOAT16;
    PyErr_Format(PyExc_RuntimeError,
                 "one of the variables needed for gradient computation has been modified by an "
                 "inplace operation: [%s%s%s %R]%U is at version %u; expected version %u instead.",
                 legacy ? "torch." : "CPU", scalar_name(t->dtype), legacy ? "Tensor" : "Type", list,
                 origin, (unsigned)t->storage->version, (unsigned)saved->version);
    Py_DECREF(origin);
  }
  Py_DECREF(list);
  return -1;
}

static bool is_custom(const Node *node) { return node->op == NULL && node->variable == NULL; }

/* A saved output gets back the history that it was stored without. */
static PyObject *unpack_value(Node *node, Saved *saved) {
  if (!tensor_check(saved->value)) return new_ref(saved->value);
  if (check_version(node, saved) < 0) return NULL;
  if (saved->output_nr < 0) return new_ref(saved->value);
  Tensor *alias = tensor_alias(AS_TENSOR(saved->value));
  if (alias != NULL && dtype_is_floating(alias->dtype)) {
    alias->grad_fn = (Node *)new_ref(node);
    alias->output_nr = (uint32_t)saved->output_nr;
  }
  return (PyObject *)alias;
}

static int raise_if_released(const Node *node) {
  if (node->released) PyErr_SetString(PyExc_RuntimeError, freed_text);
  return node->released ? -1 : 0;
}

/* save(tensors, numbers): what a custom node keeps, with the output number of each or -1. */
static PyObject *node_save(PyObject *self, PyObject *args) {
  Node *node = (Node *)self;
  PyObject *tensors, *numbers;
  if (!PyArg_ParseTuple(args, "O!O!:save", &PyTuple_Type, &tensors, &PyTuple_Type, &numbers)) {
    return NULL;
  }
  int count = (int)PyTuple_Size(tensors);
  if (PyTuple_Size(numbers) != count || node->saved_count > 0) {
    PyErr_SetString(PyExc_ValueError, "save() needs a number for each tensor, and only once");
    return NULL;
  }
  /* Edges and saved values are one block. */
  size_t edge_bytes = sizeof(Edge) * (size_t)node->edge_count;
  char *block = PyMem_Realloc(node->edges, edge_bytes + sizeof(Saved) * (size_t)count + 1);
  if (block == NULL) return PyErr_NoMemory();
  node->edges = (Edge *)block;
  node->saved = (Saved *)(block + edge_bytes);
  for (int i = 0; i < count; i++) {
    PyObject *value = PyTuple_GetItem(tensors, i);
    long number = PyLong_AsLong(PyTuple_GetItem(numbers, i));
    if (number == -1 && PyErr_Occurred()) return NULL;
    Saved *saved = &node->saved[node->saved_count++];
    *saved = (Saved){NULL, 0, -1};
    bool is_output = number >= 0 && tensor_check(value);
    if ((is_output ? save_output(saved, AS_TENSOR(value), (int)number) : save_value(saved, value)) <
        0) {
      return NULL;
    }
  }
  Py_RETURN_NONE;
}

static PyObject *get_saved_tensors(PyObject *self, void *closure) {
  (void)closure;
  Node *node = (Node *)self;
  if (!is_custom(node)) {
    PyErr_SetString(PyExc_AttributeError, "only nodes of custom functions have saved_tensors");
    return NULL;
  }
  if (raise_if_released(node) < 0) return NULL;
  PyObject *tuple = PyTuple_New(node->saved_count);
  for (int i = 0; tuple != NULL && i < node->saved_count; i++) {
    PyObject *value = unpack_value(node, &node->saved[i]);
    if (value == NULL || PyTuple_SetItem(tuple, i, value) < 0) Py_CLEAR(tuple);
  }
  return tuple;
}

static PyObject *node_unpack(PyObject *self, PyObject *unused) {
  (void)unused;
  Node *node = (Node *)self;
  if (raise_if_released(node) < 0) return NULL;
  PyObject *values = PyDict_New(), *outputs = PyDict_New();
  if (values == NULL || outputs == NULL) goto failed;
  const Saved *const end = node->saved + node->saved_count;
  Saved *saved = node->saved;
  for (int kind = 0; kind < 2; kind++) {
    uint32_t mask = kind == 0 ? node->saved_mask : node->outputs_mask;
    PyObject *into = kind == 0 ? values : outputs;
    for (long position = 0; position < WT_OP_ARGS && saved < end; position++) {
      if (!(mask >> position & 1)) continue;
      PyObject *value = unpack_value(node, saved++);
      PyObject *key = value == NULL ? NULL : PyLong_FromLong(position);
      int status = key == NULL ? -1 : PyDict_SetItem(into, key, value);
      Py_XDECREF(key);
      Py_XDECREF(value);
      if (status < 0) goto failed;
    }
  }
  return Py_BuildValue("NN", values, outputs);
failed:
  Py_XDECREF(values);
  Py_XDECREF(outputs);
  return NULL;
}

static void release_saved(Node *node, int index) {
  if (node->saved[index].value == Py_None) return;
  node->released = true;
  release_later(node->saved[index].value);
  node->saved[index].value = NULL;
}

/* A node that saved no tensor may run again, as in torch. A custom one may run again where its
 * function does not ask for what it saved. */
static PyObject *node_release(PyObject *self, PyObject *unused) {
  (void)unused;
  Node *node = (Node *)self;
  if (is_custom(node)) node->released = true;
  int index = 0;
  if (node->op != NULL) {
    for (int position = 0; position < WT_OP_ARGS; position++) {
      if (!(node->saved_mask >> position & 1)) continue;
      if (node->op->freed_mask >> position & 1) release_saved(node, index);
      index++;
    }
  }
  for (; index < node->saved_count; index++) release_saved(node, index); /* outputs */
  drain();
  Py_RETURN_NONE;
}

static PyObject *node_name(PyObject *self, PyObject *unused) {
  (void)unused;
  return new_ref(((Node *)self)->name);
}

/* Without the namespace that "torch::autograd::AccumulateGrad" has. */
static PyObject *node_repr(PyObject *self) {
  PyObject *name = ((Node *)self)->name;
  Py_ssize_t length = PyUnicode_GetLength(name);
  Py_ssize_t colon = PyUnicode_FindChar(name, ':', 0, length, -1);
  if (colon == -2) return NULL;
  PyObject *plain = PyUnicode_Substring(name, colon + 1, length);
  if (plain == NULL) return NULL;
  PyObject *text = PyUnicode_FromFormat("<%U object at %p>", plain, self);
  Py_DECREF(plain);
  return text;
}

static PyObject *get_num_outputs(PyObject *self, void *closure) {
  (void)closure;
  return PyLong_FromLong(((Node *)self)->output_count);
}

static PyObject *get_released(PyObject *self, void *closure) {
  (void)closure;
  return PyBool_FromLong(((Node *)self)->released);
}

static PyObject *get_slot(PyObject *self, void *closure) {
  PyObject **slot = (PyObject **)((char *)self + (intptr_t)closure);
  return new_ref(*slot != NULL ? *slot : Py_None);
}

static int set_slot(PyObject *self, PyObject *value, void *closure) {
  PyObject **slot = (PyObject **)((char *)self + (intptr_t)closure);
  XSETREF(*slot, value == NULL || value == Py_None ? NULL : new_ref(value));
  return 0;
}

#define SLOT(field) (void *)offsetof(Node, field)

static PyGetSetDef node_getset[] = {
    {"op", get_slot, NULL, "The row that was recorded, or None.", SLOT(op)},
    {"variable", get_slot, NULL, "The leaf of an accumulator, or None.", SLOT(variable)},
    {"context", get_slot, set_slot, "What a custom node keeps.", SLOT(context)},
    {"hooks", get_slot, set_slot, "Called with the gradients after the node ran.", SLOT(hooks)},
    {"pre_hooks", get_slot, set_slot, "Called with the gradients before.", SLOT(pre_hooks)},
    {"next_functions", get_next_functions, NULL, "(node, output number) of each input.", NULL},
    {"metadata", get_metadata, NULL, "(Size, dtype) of each input.", NULL},
    {"output_metadata", get_output_metadata, NULL, "(Size, dtype) of each output.", NULL},
    {"num_outputs", get_num_outputs, NULL, "The number of outputs.", NULL},
    {"saved_tensors", get_saved_tensors, NULL, "What a custom function saved.", NULL},
    {"released", get_released, NULL, "Whether saved values were freed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef node_members[] = {
    {"sequence_nr", T_ULONGLONG, offsetof(Node, sequence_nr), READONLY, "Order of recording."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Node, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef node_methods[] = {
    {"name", node_name, METH_NOARGS, "Such as 'AddBackward0'."},
    {"geometry", node_geometry, METH_O, "(stride, storage offset) of an input, by edge."},
    {"unpack", node_unpack, METH_NOARGS, "Saved arguments and outputs, two dicts by position."},
    {"save", node_save, METH_VARARGS, "save(tensors, numbers): keeps values for a custom node."},
    {"release", node_release, METH_NOARGS, "Frees the saved values."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot node_slots[] = {
    {Py_tp_doc, "A recorded operation: what backward runs, and where its gradients go."},
    {Py_tp_new, node_construct},
    {Py_tp_dealloc, node_dealloc},
    {Py_tp_traverse, node_traverse},
    {Py_tp_clear, node_clear},
    {Py_tp_repr, node_repr},
    {Py_tp_getset, node_getset},
    {Py_tp_members, node_members},
    {Py_tp_methods, node_methods},
    {0, NULL},
};

static PyType_Spec node_spec = {
    .name = "wasm_torch._C.Node",
    .basicsize = sizeof(Node),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = node_slots,
};

int node_module_init(PyObject *module) {
  Node_Type = (PyTypeObject *)PyType_FromSpec(&node_spec);
  if (Node_Type == NULL) return -1;
  return PyModule_AddObjectRef(module, "Node", (PyObject *)Node_Type);
}
