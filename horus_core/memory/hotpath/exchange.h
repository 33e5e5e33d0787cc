/* What a node does with its topics within a tick: send, recv, recv_all; and TickCore as a type. */
#ifndef HORUS_EXCHANGE_H
#define HORUS_EXCHANGE_H

#include "tick.h"

/* What a topic that the node does not have is answered with: NULL, with the exception that `_unknown` raises. */
static PyObject *unknown(Tick *self, const char *verb, PyObject *topic)
{
    if (PyErr_Occurred())
        return NULL;
    PyObject *word = PyUnicode_FromString(verb);
    if (word == NULL)
        return NULL;
    PyObject *raised = PyObject_CallMethodObjArgs((PyObject *)self, s_unknown, word, topic, NULL);
    Py_DECREF(word);
    Py_XDECREF(raised);
    if (raised != NULL)
        PyErr_SetString(PyExc_KeyError, "unknown topic");
    return NULL;
}

static PyObject *Tick_send(Tick *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *topic = NULL, *data = NULL;
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    if (count > 0)
        topic = args[0];
    if (count > 1)
        data = args[1];
    for (Py_ssize_t each = 0; each < named; each++) {
        if (topic == NULL && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, each), "topic") == 0)
            topic = args[count + each];
        else if (data == NULL && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, each), "data") == 0)
            data = args[count + each];
        else
            data = topic = NULL, count = 3;
    }
    if (count + named != 2 || topic == NULL || data == NULL) {
        PyErr_SetString(PyExc_TypeError, "send() takes two arguments: topic and data");
        return NULL;
    }
    if (!equipped(self))
        return NULL;
    PyObject *outlet = PyDict_GetItemWithError(self->outlets, topic);
    if (outlet == NULL)
        return unknown(self, "send", topic);
    Writer *writer = (Writer *)PyTuple_GET_ITEM(outlet, 0);
    PyObject *pack = PyTuple_GET_ITEM(outlet, 2), *arrays = PyTuple_GET_ITEM(outlet, 3), *encoded = NULL;
    word size = -1;
    if (pack != Py_None && !PyBytes_CheckExact(data) && !PyByteArray_CheckExact(data) && !PyMemoryView_Check(data)) {
        PyObject *packed = PyObject_CallOneArg(pack, data);
        if (packed != NULL && PyList_GET_SIZE(arrays) == 0) {
            size = put_object(writer, MSGPACK, packed, self->tick, self->visible);
            Py_DECREF(packed);
            if (size < 0)
                return NULL;
        } else if (packed != NULL) {
            encoded = PyObject_CallOneArg(PyTuple_GET_ITEM(outlet, 4), packed);
            Py_DECREF(packed);
            if (encoded == NULL)
                return NULL;
        } else if (PyErr_ExceptionMatches(PyExc_Exception)) {
            PyErr_Clear(); /* encode, below, words it */
            if (PyList_SetSlice(arrays, 0, PyList_GET_SIZE(arrays), NULL) < 0)
                return NULL;
        } else
            return NULL;
    }
    if (size < 0) {
        if (encoded == NULL)
            encoded = PyObject_CallOneArg(PyTuple_GET_ITEM(outlet, 1), data);
        if (encoded == NULL)
            return NULL;
        if (!PyTuple_Check(encoded) || PyTuple_GET_SIZE(encoded) != 2) {
            Py_DECREF(encoded);
            PyErr_SetString(PyExc_TypeError, "what encodes returns (encoding, payload)");
            return NULL;
        }
        long encoding = PyLong_AsLong(PyTuple_GET_ITEM(encoded, 0));
        size = put_object(writer, (int)encoding, PyTuple_GET_ITEM(encoded, 1), self->tick, self->visible);
        Py_DECREF(encoded);
        if (size < 0)
            return NULL;
    }
    store(&self->row[N_SENT], self->row[N_SENT] + 1);
    store(&self->row[N_SENT_BYTES], self->row[N_SENT_BYTES] + size);
    Py_RETURN_TRUE;
}

/* The inbox of `topic`, the first of `args`, and whether a copy is wanted; NULL with an exception. */
static PyObject *inbox_of(Tick *self, PyObject *const *args, Py_ssize_t count, PyObject *names, int *copy)
{
    PyObject *topic = count > 0 ? args[0] : NULL, *wanted = count > 1 ? args[1] : NULL;
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    for (Py_ssize_t each = 0; each < named; each++) {
        PyObject *name = PyTuple_GET_ITEM(names, each);
        if (topic == NULL && PyUnicode_CompareWithASCIIString(name, "topic") == 0)
            topic = args[count + each];
        else if (wanted == NULL && PyUnicode_Compare(name, s_copy) == 0)
            wanted = args[count + each];
        else
            topic = NULL, count = 3;
    }
    if (count > 2 || topic == NULL) {
        PyErr_SetString(PyExc_TypeError, "recv() takes a topic, and copy=True or copy=False");
        return NULL;
    }
    *copy = wanted == NULL ? 1 : PyObject_IsTrue(wanted);
    if (*copy < 0 || !equipped(self))
        return NULL;
    PyObject *inbox = PyDict_GetItemWithError(self->inboxes, topic);
    return inbox != NULL ? inbox : unknown(self, "recv", topic);
}

/* The next value of `inbox`; NULL with an exception, or without one if there is none. */
static PyObject *next_value(PyObject *inbox, int copy)
{
    PyObject *readers = PyTuple_GET_ITEM(inbox, 0);
    Py_ssize_t lanes = PyTuple_GET_SIZE(readers);
    for (;;) {
        Reader *oldest = NULL;
        word least = 0;
        for (Py_ssize_t each = 0; each < lanes; each++) {
            Reader *reader = (Reader *)PyTuple_GET_ITEM(readers, each);
            if (reader->cursor >= reader->end)
                continue;
            if (lanes == 1) {
                oldest = reader;
                break;
            }
            word tick = next_tick(reader);
            if (PyErr_Occurred())
                return NULL;
            if (oldest == NULL || tick < least) {
                oldest = reader;
                least = tick;
            }
        }
        if (oldest == NULL)
            return NULL;
        PyObject *value = take(oldest, PyTuple_GET_ITEM(inbox, copy ? 1 : 2), PyTuple_GET_ITEM(inbox, 3));
        if (value != NULL || PyErr_Occurred())
            return value;
    }
}

static PyObject *Tick_recv(Tick *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    int copy;
    PyObject *inbox = inbox_of(self, args, count, names, &copy);
    if (inbox == NULL)
        return NULL;
    PyObject *value = next_value(inbox, copy);
    if (value == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return value;
}

static PyObject *Tick_recv_all(Tick *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    int copy;
    PyObject *inbox = inbox_of(self, args, count, names, &copy), *value;
    if (inbox == NULL)
        return NULL;
    PyObject *messages = PyList_New(0);
    if (messages == NULL)
        return NULL;
    while ((value = next_value(inbox, copy)) != NULL) {
        int added = PyList_Append(messages, value);
        Py_DECREF(value);
        if (added < 0)
            break;
    }
    if (PyErr_Occurred())
        Py_CLEAR(messages);
    return messages;
}

static PyMemberDef Tick_members[] = {
    {"tick", T_LONGLONG, offsetof(Tick, tick), 0, "the tick that runs"},
    {"visible", T_LONGLONG, offsetof(Tick, visible), 0, "the tick from which others see what it sends"},
    {"started", T_LONGLONG, offsetof(Tick, started), 0, "when the tick began, monotonic ns"},
    {"duration", T_LONGLONG, offsetof(Tick, duration), 0, "ns that its callback took"},
    {"previous", T_LONGLONG, offsetof(Tick, previous), 0, "the tick that it ran before this one"},
    {NULL},
};

static PyMethodDef Tick_methods[] = {
    {"_equip", (PyCFunction)(void (*)(void))Tick_equip, METH_VARARGS | METH_KEYWORDS, "What the node reads and writes."},
    {"begin", (PyCFunction)(void (*)(void))Tick_begin, METH_FASTCALL, "Fixes what the node receives in a tick."},
    {"ended", (PyCFunction)Tick_ended, METH_NOARGS, "The callback has returned."},
    {"conclude", (PyCFunction)(void (*)(void))Tick_conclude, METH_FASTCALL, "Commits, and writes the tick's row."},
    {"send", (PyCFunction)(void (*)(void))Tick_send, METH_FASTCALL | METH_KEYWORDS, "Sends a value on a topic."},
    {"recv", (PyCFunction)(void (*)(void))Tick_recv, METH_FASTCALL | METH_KEYWORDS, "The oldest unread message."},
    {"recv_all", (PyCFunction)(void (*)(void))Tick_recv_all, METH_FASTCALL | METH_KEYWORDS, "All unread messages."},
    {NULL},
};

static PyTypeObject TickType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus_core.memory.hotpath.native.TickCore",
    .tp_doc = "A node's part in a tick, but for the callback; see `pure`.",
    .tp_basicsize = sizeof(Tick),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)Tick_dealloc,
    .tp_traverse = (traverseproc)Tick_traverse,
    .tp_clear = (inquiry)Tick_clear,
    .tp_methods = Tick_methods,
    .tp_members = Tick_members,
};

#endif
