/* Recording of operations: how tensors get their histories. */
#include "tensor.h"

#include <string.h>

#include "node.h"

bool grad_mode = true;
bool inference_mode;
PyObject *dispatch_mode;

/* ---- arguments that are tensors or sequences of them ---------------------------------------- */
static bool is_sequence(PyObject *object) { return PyTuple_Check(object) || PyList_Check(object); }

static PyObject *sequence_item(PyObject *sequence, Py_ssize_t i) {
  return PyTuple_Check(sequence) ? PyTuple_GetItem(sequence, i) : PyList_GetItem(sequence, i);
}

static bool object_tracks_grad(PyObject *object) {
  if (tensor_check(object)) {
    Tensor *t = AS_TENSOR(object);
    if (tensor_tracks_grad(t)) return true;
    return t->base != NULL && tensor_tracks_grad(AS_TENSOR(t->base)) &&
           t->view_version != t->storage->version;
  }
  if (is_sequence(object)) {
    for (Py_ssize_t i = 0; i < PySequence_Size(object); i++) {
      if (object_tracks_grad(sequence_item(object, i))) return true;
    }
  }
  return false;
}

bool any_tracks_grad(PyObject *const *args, int count) {
  for (int i = 0; i < count; i++) {
    if (object_tracks_grad(args[i])) return true;
  }
  return false;
}

static bool op_tracks_grad(const OpBase *op, PyObject *const *args, int count) {
  for (int i = 0; i < count; i++) {
    if ((op->tensor_mask >> i & 1) && object_tracks_grad(args[i])) return true;
  }
  return false;
}

void metadata_of(const Tensor *t, Metadata *out) {
  out->present = true;
  out->dtype = t->dtype;
  out->ndim = t->ndim;
  out->offset = t->offset;
  memcpy(out->size, t->size, sizeof(wt_word) * t->ndim);
  memcpy(out->stride, t->stride, sizeof(wt_word) * t->ndim);
}

static int fill_edge(Edge *edge, PyObject *object) {
  if (!tensor_check(object)) return 0;
  metadata_of(AS_TENSOR(object), &edge->metadata);
  return edge_to(AS_TENSOR(object), edge);
}

int save_value(Saved *saved, PyObject *value) {
  saved->value = new_ref(value);
  saved->output_nr = -1;
  if (!tensor_check(value)) return 0;
  saved->version = AS_TENSOR(value)->storage->version;
  if (!AS_TENSOR(value)->inference) return 0;
  PyErr_SetString(PyExc_RuntimeError,
                  "Inference tensors cannot be saved for backward. Please do not use Tensors "
                  "created in inference mode in computation tracked by autograd. To work around "
                  "this, you can make a clone to get a normal tensor and use it in autograd, or "
                  "use `torch.no_grad()` instead of `torch.inference_mode()`.");
  return -1;
}

int save_output(Saved *saved, Tensor *output, int index) {
  Tensor *alias = tensor_alias(output);
  if (alias == NULL) return -1;
  saved->value = (PyObject *)alias;
  saved->version = output->storage->version;
  saved->output_nr = index;
  return 0;
}

static int count_bits(uint32_t mask) {
  int count = 0;
  for (; mask != 0; mask &= mask - 1) count++;
  return count;
}

/* A node for `op`, with the edges of its arguments and the values that the gradients in question
 * want. */
static Node *make_node(OpBase *op, PyObject *const *args, int count, Tensor *const *outputs,
                       int output_count) {
  int edges = 0;
  uint32_t saved_mask = 0, outputs_mask = 0;
  for (int i = 0; i < count; i++) {
    if (!(op->tensor_mask >> i & 1)) continue;
    edges += is_sequence(args[i]) ? (int)PySequence_Size(args[i]) : 1;
    if (!object_tracks_grad(args[i])) continue;
    saved_mask |= op->saved_for[i];
    outputs_mask |= op->outputs_for[i];
  }
  /* The fast paths leave out trailing arguments that have their defaults. */
  if (count < WT_OP_ARGS) saved_mask &= (1u << count) - 1;
  Node *node =
      node_new(op->node_name, op, edges, count_bits(saved_mask) + count_bits(outputs_mask));
  if (node == NULL) return NULL;
  Edge *edge = node->edges;
  Saved *saved = node->saved;
  node->saved_mask = saved_mask;
  node->outputs_mask = outputs_mask;
  bool failed = false;
  for (int i = 0; i < count && !failed; i++) {
    PyObject *arg = args[i];
    if (op->tensor_mask >> i & 1) {
      if (is_sequence(arg)) {
        for (Py_ssize_t k = 0; k < PySequence_Size(arg); k++) {
          failed |= fill_edge(edge++, sequence_item(arg, k)) < 0;
        }
      } else {
        failed |= fill_edge(edge++, arg) < 0;
      }
    }
    if ((saved_mask >> i & 1) && !failed) failed |= save_value(saved++, arg) < 0;
  }
  for (int i = 0; i < output_count; i++) {
    failed |= node_set_output(node, i, outputs[i]) < 0;
    if ((outputs_mask >> i & 1) && !failed) failed |= save_output(saved++, outputs[i], i) < 0;
  }
  if (failed) Py_CLEAR(node);
  return node;
}

/* A tensor whose gradient is retained and that gets another history takes that wish along. */
static int move_retained(Tensor *t, Node *old, uint32_t old_output_nr) {
  if (!t->retains_grad || old == t->grad_fn || handler_move_retained == NULL) return 0;
  PyObject *number = PyLong_FromUnsignedLong(old_output_nr);
  PyObject *result =
      number == NULL ? NULL
                     : PyObject_CallFunctionObjArgs(handler_move_retained, t, old, number, NULL);
  Py_XDECREF(number);
  Py_XDECREF(result);
  return result == NULL ? -1 : 0;
}

static int set_history(Tensor *t, Node *node, uint32_t output_nr) {
  Node *old = t->grad_fn;
  uint32_t old_output_nr = t->output_nr;
  t->requires_grad = false;
  t->output_nr = output_nr;
  t->view_version = t->storage->version;
  t->grad_fn = (Node *)new_ref(node);
  if (old == NULL) return 0;
  int status = move_retained(t, old, old_output_nr);
  node_release_chain(old);
  return status;
}

int record(OpBase *op, PyObject *const *args, int count, Tensor *const *outputs, int output_count) {
  if (!grad_mode || op == NULL || !op_tracks_grad(op, args, count)) return 0;
  Node *node = make_node(op, args, count, outputs, output_count);
  if (node == NULL) return -1;
  int status = 0;
  for (int i = 0; i < output_count && status == 0; i++) {
    if (dtype_is_floating(outputs[i]->dtype)) status = set_history(outputs[i], node, (uint32_t)i);
  }
  Py_DECREF(node);
  return status;
}

Node *accumulator_of(Tensor *t) {
  if (t->accumulator != NULL) return (Node *)new_ref(t->accumulator);
  static PyObject *name;
  if (name == NULL) name = PyUnicode_InternFromString("torch::autograd::AccumulateGrad");
  Node *accumulator = name == NULL ? NULL : node_new(name, NULL, 0, 0);
  if (accumulator == NULL) return NULL;
  accumulator->variable = new_ref((PyObject *)t);
  metadata_of(t, &accumulator->first_output);
  accumulator->output_count = 1;
  t->accumulator = accumulator;
  return accumulator;
}

int edge_to(Tensor *t, Edge *edge) {
  if (refresh_view_history(t) < 0) return -1;
  if (t->grad_fn != NULL) {
    edge->node = (Node *)new_ref(t->grad_fn);
    edge->output_nr = t->output_nr;
  } else if (t->requires_grad) {
    edge->leaf = new_ref((PyObject *)t);
  }
  return 0;
}

int gradient_edge(Tensor *t, Node **node, uint32_t *output_nr) {
  if (refresh_view_history(t) < 0) return -1;
  *node = NULL;
  *output_nr = 0;
  if (t->grad_fn != NULL) {
    *node = (Node *)new_ref(t->grad_fn);
    *output_nr = t->output_nr;
  } else if (t->requires_grad) {
    *node = accumulator_of(t);
    if (*node == NULL) return -1;
  }
  return 0;
}

/* ---- views and in-place operations ---------------------------------------------------------- */
static Node *as_strided_node(Tensor *view) {
  OpBase *op = fast_rows[ROW_as_strided];
  PyObject *size = words_to_tuple(view->ndim, view->size);
  PyObject *stride = words_to_tuple(view->ndim, view->stride);
  PyObject *offset = PyLong_FromSsize_t((Py_ssize_t)view->offset);
  Node *node = NULL;
  if (size != NULL && stride != NULL && offset != NULL) {
    PyObject *args[4] = {view->base, size, stride, offset};
    Tensor *outputs[1] = {view};
    node = make_node(op, args, 4, outputs, 1);
  }
  Py_XDECREF(size);
  Py_XDECREF(stride);
  Py_XDECREF(offset);
  return node;
}

int refresh_view_history(Tensor *t) {
  if (t->base == NULL || t->view_version == t->storage->version) return 0;
  Tensor *base = AS_TENSOR(t->base);
  if (!tensor_tracks_grad(base) || !dtype_is_floating(t->dtype) || base->dtype != t->dtype ||
      fast_rows[ROW_as_strided] == NULL) {
    return 0;
  }
  /* A view that was cut from the graph (detach, no_grad) stays cut. */
  if (t->untracked) return 0;
  Node *node = as_strided_node(t);
  if (node == NULL) return -1;
  int status = set_history(t, node, 0);
  Py_DECREF(node);
  return status;
}

/* Views whose change could not be told to the history of their base. */
static int check_view(const Tensor *view) {
  const Node *node = view->grad_fn;
  if (node == NULL && tensor_tracks_grad(AS_TENSOR(view->base)) &&
      view->view_version == view->storage->version) {
    PyErr_SetString(PyExc_RuntimeError,
                    "A view was created in no_grad mode and is being modified inplace with grad "
                    "mode enabled. Given that this use case is ambiguous and error-prone, it is "
                    "forbidden. You can clarify your code by moving both the view and the inplace "
                    "either both inside the no_grad block (if you don't want the inplace to be "
                    "tracked) or both outside (if you want the inplace to be tracked).");
    return -1;
  }
  if (node == NULL || node->op != NULL) return 0;
  PyObject *name = node_stem(node);
  if (name == NULL) return -1;
  PyErr_Format(PyExc_RuntimeError, "Output %u of %U is a view and is being modified inplace. %s",
               (unsigned)view->output_nr, name,
               node->output_count > 1
                   ? "This view is the output of a function that returns multiple views. Such "
                     "functions do not allow the output views to be modified inplace. You should "
                     "replace the inplace operation by an out-of-place one."
                   : "This view was created inside a custom Function (or because an input was "
                     "returned as-is) and the autograd logic to handle view+inplace would "
                     "override the custom backward associated with the custom Function, leading "
                     "to incorrect gradients. This behavior is forbidden. You can fix this by "
                     "cloning the output of the custom Function.");
  Py_DECREF(name);
  return -1;
}

static int check_base(const Tensor *base) {
  if (!base->requires_grad) return 0;
  PyErr_SetString(
      PyExc_RuntimeError,
      "a view of a leaf Variable that requires grad is being used in an in-place operation.");
  return -1;
}

static int check_inplace(Tensor *t) {
  if (t->inference && !inference_mode) {
    PyErr_SetString(PyExc_RuntimeError,
                    "Inplace update to inference tensor outside InferenceMode is not allowed.You "
                    "can make a clone to get a normal tensor before doing inplace update.See "
                    "https://github.com/pytorch/rfcs/pull/17 for more details.");
    return -1;
  }
  for (int d = 0; d < t->ndim; d++) {
    if (t->stride[d] == 0 && t->size[d] > 1 && t->numel > 0) {
      PyErr_SetString(
          PyExc_RuntimeError,
          "unsupported operation: more than one element of the written-to tensor refers "
          "to a single memory location. Please clone() the tensor before performing the "
          "operation.");
      return -1;
    }
  }
  if (!grad_mode) return 0;
  if (t->base != NULL && !t->untracked && check_view(t) < 0) return -1;
  if (t->requires_grad && t->grad_fn == NULL) {
    PyErr_SetString(PyExc_RuntimeError,
                    "a leaf Variable that requires grad is being used in an in-place operation.");
    return -1;
  }
  return t->base != NULL && !t->untracked ? check_base(AS_TENSOR(t->base)) : 0;
}

/* Writes through a view change the base: base' = as_strided_scatter(base, new value of the view).
 */
static int rebase_base(Tensor *view, Node *node, uint32_t output_nr) {
  static PyObject *copy_slices_name;
  if (copy_slices_name == NULL) {
    copy_slices_name = PyUnicode_InternFromString("torch::autograd::CopySlices");
    if (copy_slices_name == NULL) return -1;
  }
  Tensor *base = AS_TENSOR(view->base);
  Tensor *value = tensor_alias(view);
  if (value == NULL) return -1;
  if (set_history(value, node, output_nr) < 0) {
    Py_DECREF(value);
    return -1;
  }
  PyObject *size = words_to_tuple(view->ndim, view->size);
  PyObject *stride = words_to_tuple(view->ndim, view->stride);
  PyObject *offset = PyLong_FromSsize_t((Py_ssize_t)view->offset);
  Node *scatter = NULL;
  if (size != NULL && stride != NULL && offset != NULL) {
    PyObject *args[5] = {(PyObject *)base, (PyObject *)value, size, stride, offset};
    Tensor *outputs[1] = {base};
    scatter = make_node(fast_rows[ROW_as_strided_scatter], args, 5, outputs, 1);
    if (scatter != NULL) {
      Py_DECREF(scatter->name);
      scatter->name = new_ref(copy_slices_name);
    }
  }
  Py_XDECREF(size);
  Py_XDECREF(stride);
  Py_XDECREF(offset);
  Py_DECREF(value);
  if (scatter == NULL) return -1;
  int status = set_history(base, scatter, 0);
  Py_DECREF(scatter);
  if (status < 0) return -1;
  view->view_version = view->storage->version - 1; /* so that its history is made anew */
  return refresh_view_history(view);
}

static int record_inplace(OpBase *op, PyObject *const *args, int count, Tensor *self) {
  if (!grad_mode || self->untracked || !op_tracks_grad(op, args, count)) {
    tensor_bump(self);
    return 0;
  }
  /* Arguments are saved with the versions they had before the change, the result with its own: an
   * argument that shares the changed memory is then noticed when the gradient wants it. */
  Tensor *outputs[1] = {self};
  Node *node = make_node(op, args, count, outputs, 1);
  if (node == NULL) return -1;
  tensor_bump(self);
  for (int i = 0; i < node->saved_count; i++) {
    if (node->saved[i].output_nr >= 0) node->saved[i].version = self->storage->version;
  }
  int status = 0;
  if (self->base != NULL) {
    status = rebase_base(self, node, 0);
  } else {
    status = set_history(self, node, 0);
  }
  Py_DECREF(node);
  return status;
}

/* The history of what a custom function declared dirty, after it was changed. */
static int set_inplace_history(Tensor *t, Node *node, uint32_t output_nr) {
  Tensor *base = t->untracked ? NULL : AS_TENSOR(t->base);
  if (t->requires_grad && t->grad_fn == NULL) {
    PyErr_SetString(PyExc_RuntimeError,
                    "a leaf Variable that requires grad has been used in an in-place operation.");
    return -1;
  }
  if (base != NULL && (check_view(t) < 0 || check_base(base) < 0)) return -1;
  if (node_set_output(node, (int)output_nr, t) < 0) return -1;
  tensor_bump(t);
  if (base != NULL) return rebase_base(t, node, output_nr);
  return set_history(t, node, output_nr);
}

/* ---- functions for Python ------------------------------------------------------------------- */
static int unpack_arguments(PyObject *tuple, PyObject **out, int limit) {
  Py_ssize_t count = PyTuple_Size(tuple);
  if (count > limit) {
    PyErr_SetString(PyExc_ValueError, "an operation may have at most 32 arguments");
    return -1;
  }
  for (Py_ssize_t i = 0; i < count; i++) out[i] = PyTuple_GetItem(tuple, i);
  return (int)count;
}

static PyObject *py_record(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *op, *values, *outputs, *items[32];
  if (!PyArg_ParseTuple(args, "O!O!O:record", OpBase_Type, &op, &PyTuple_Type, &values, &outputs)) {
    return NULL;
  }
  int count = unpack_arguments(values, items, 32);
  if (count < 0) return NULL;
  if (!grad_mode || !op_tracks_grad((OpBase *)op, items, count)) Py_RETURN_NONE;
  Tensor *single[1];
  Tensor **tensors = single;
  Py_ssize_t output_count = 1;
  if (tensor_check(outputs)) {
    single[0] = AS_TENSOR(outputs);
  } else if (is_sequence(outputs)) {
    output_count = PySequence_Size(outputs);
    tensors = PyMem_Malloc(sizeof *tensors * (size_t)(output_count > 0 ? output_count : 1));
    if (tensors == NULL) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < output_count; i++) {
      PyObject *item = sequence_item(outputs, i);
      if (!tensor_check(item)) {
        PyMem_Free(tensors);
        PyErr_SetString(PyExc_TypeError, "record() needs tensors as outputs");
        return NULL;
      }
      tensors[i] = AS_TENSOR(item);
    }
  } else {
    PyErr_SetString(PyExc_TypeError, "record() needs tensors as outputs");
    return NULL;
  }
  int status = record((OpBase *)op, items, count, tensors, (int)output_count);
  if (tensors != single) PyMem_Free(tensors);
  if (status < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *py_record_inplace(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *op, *values, *self, *items[32];
  if (!PyArg_ParseTuple(args, "O!O!O!:record_inplace", OpBase_Type, &op, &PyTuple_Type, &values,
                        TensorBase_Type, &self)) {
    return NULL;
  }
  int count = unpack_arguments(values, items, 32);
  if (count < 0 || record_inplace((OpBase *)op, items, count, AS_TENSOR(self)) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *py_check_inplace(PyObject *module, PyObject *object) {
  (void)module;
  if (!tensor_check(object)) {
    PyErr_SetString(PyExc_TypeError, "check_inplace() needs a tensor");
    return NULL;
  }
  if (check_inplace(AS_TENSOR(object)) < 0) return NULL;
  Py_RETURN_NONE;
}

/* A tensor that nothing but its list refers to, on memory that nothing but itself uses: it may be
 * taken without a copy. The base of a view counts as itself where only the view holds it. */
static bool is_unshared(PyObject *object) {
  Tensor *t = AS_TENSOR(object);
  if (Py_REFCNT(object) > 1 || t->storage->owner != NULL) return false;
  if (t->base == NULL) return t->storage->references == 1;
  return Py_REFCNT(t->base) == 1 && AS_TENSOR(t->base)->storage == t->storage &&
         t->storage->references == 2;
}

static PyObject *py_is_unshared(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *list;
  Py_ssize_t index;
  if (!PyArg_ParseTuple(args, "O!n:is_unshared", &PyList_Type, &list, &index)) return NULL;
  PyObject *object = PyList_GetItem(list, index);
  if (object == NULL) return NULL;
  if (!tensor_check(object)) {
    PyErr_SetString(PyExc_TypeError, "is_unshared() needs a list of tensors");
    return NULL;
  }
  return PyBool_FromLong(is_unshared(object));
}

static PyObject *py_bump(PyObject *module, PyObject *object) {
  (void)module;
  if (!tensor_check(object)) {
    PyErr_SetString(PyExc_TypeError, "bump() needs a tensor");
    return NULL;
  }
  tensor_bump(AS_TENSOR(object));
  Py_RETURN_NONE;
}

static PyObject *py_gradient_edge(PyObject *module, PyObject *object) {
  (void)module;
  if (!tensor_check(object)) {
    PyErr_SetString(PyExc_TypeError, "gradient_edge() needs a tensor");
    return NULL;
  }
  Node *node;
  uint32_t output_nr;
  if (gradient_edge(AS_TENSOR(object), &node, &output_nr) < 0) return NULL;
  if (node == NULL) return Py_BuildValue("OI", Py_None, output_nr);
  return Py_BuildValue("NI", node, output_nr);
}

static PyObject *py_set_history(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *t, *node;
  int output_nr, changed = 0;
  if (!PyArg_ParseTuple(args, "O!Oi|p:set_history", TensorBase_Type, &t, &node, &output_nr,
                        &changed)) {
    return NULL;
  }
  if (node == Py_None) {
    Node *old = AS_TENSOR(t)->grad_fn;
    AS_TENSOR(t)->grad_fn = NULL;
    if (old != NULL) node_release_chain(old);
    Py_RETURN_NONE;
  }
  if (Py_TYPE(node) != Node_Type) {
    PyErr_SetString(PyExc_TypeError, "set_history() needs a Node");
    return NULL;
  }
  if (output_nr < 0) {
    PyErr_SetString(PyExc_ValueError, "the number of an output is not negative");
    return NULL;
  }
  if (changed) {
    int status = set_inplace_history(AS_TENSOR(t), (Node *)node, (uint32_t)output_nr);
    if (status < 0) return NULL;
    Py_RETURN_NONE;
  }
  if (node_set_output((Node *)node, output_nr, AS_TENSOR(t)) < 0) return NULL;
  if (set_history(AS_TENSOR(t), (Node *)node, (uint32_t)output_nr) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *py_grad_enabled(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyBool_FromLong(grad_mode);
}

static PyObject *set_flag(bool *flag, PyObject *value) {
  int truth = PyObject_IsTrue(value);
  if (truth < 0) return NULL;
  bool previous = *flag;
  *flag = truth;
  return PyBool_FromLong(previous);
}

static PyObject *py_set_grad_enabled(PyObject *module, PyObject *value) {
  (void)module;
  return set_flag(&grad_mode, value);
}

static PyObject *py_inference_enabled(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyBool_FromLong(inference_mode);
}

static PyObject *py_set_inference_enabled(PyObject *module, PyObject *value) {
  (void)module;
  return set_flag(&inference_mode, value);
}

static PyObject *py_get_mode(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return new_ref(dispatch_mode != NULL ? dispatch_mode : Py_None);
}

static PyObject *py_set_mode(PyObject *module, PyObject *mode) {
  (void)module;
  XSETREF(dispatch_mode, mode == Py_None ? NULL : new_ref(mode));
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"record", py_record, METH_VARARGS, "record(op, args, outputs): gives outputs their history."},
    {"record_inplace", py_record_inplace, METH_VARARGS,
     "record_inplace(op, args, self): after self was changed, bumps and rebases its history."},
    {"check_inplace", py_check_inplace, METH_O, "Raises where a tensor may not be changed."},
    {"is_unshared", py_is_unshared, METH_VARARGS,
     "is_unshared(list, index): whether only the list holds the tensor and its memory."},
    {"bump", py_bump, METH_O, "Counts an in-place change."},
    {"gradient_edge", py_gradient_edge, METH_O, "The (node, output number) of a tensor."},
    {"set_history", py_set_history, METH_VARARGS,
     "set_history(tensor, node, output_nr, changed=False): `changed` where it was in place."},
    {"grad_enabled", py_grad_enabled, METH_NOARGS, "Whether operations are recorded."},
    {"set_grad_enabled", py_set_grad_enabled, METH_O, "Returns the previous value."},
    {"inference_enabled", py_inference_enabled, METH_NOARGS, "Whether inference mode is on."},
    {"set_inference_enabled", py_set_inference_enabled, METH_O, "Returns the previous value."},
    {"get_mode", py_get_mode, METH_NOARGS, "The dispatch mode, or None."},
    {"set_mode", py_set_mode, METH_O, "Sends every operation to a callable, or None to stop."},
    {NULL, NULL, 0, NULL},
};

int autograd_module_init(PyObject *module) { return PyModule_AddFunctions(module, functions); }
