/* WriterCore: the writing end of a lane; lane.py says why. */
#ifndef HORUS_WRITER_H
#define HORUS_WRITER_H

#include "segment.h"

typedef struct {
    PyObject_HEAD
    Memory control;
    Segment segment;
    long long head_word, commit_word;
    long long head, committed, pos, slots_end, room_end;
} Writer;

static int Writer_init(Writer *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"control", "head_word", "commit_word", NULL};
    PyObject *control;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OLL", names, &control, &self->head_word, &self->commit_word))
        return -1;
    word places[] = {self->head_word, self->commit_word};
    if (hold_control(&self->control, control, 1, places, 2) < 0)
        return -1;
    self->head = *at(&self->control, self->head_word);
    self->committed = *at(&self->control, self->commit_word);
    self->pos = self->slots_end = self->room_end = 0; /* no room at all, until the first segment */
    detach(&self->segment);
    return 0;
}

static void Writer_dealloc(Writer *self)
{
    detach(&self->segment);
    release_memory(&self->control);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *Writer_attach(Writer *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_attach(words, data)");
        return NULL;
    }
    if (attach(&self->segment, args[0], args[1], 1) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Where `size` bytes go, after whatever makes room for them; NULL with an exception if there is none. */
static char *place_for(Writer *self, word size, int encoding)
{
    if (encoding == ARRAYS)
        self->pos = (self->pos + ALIGN - 1) & ~(long long)(ALIGN - 1);
    word offset = self->pos & self->segment.data_mask;
    if (self->head >= self->slots_end || self->pos + size > self->room_end || offset + size > self->segment.data_mask + 1) {
        PyObject *number = PyLong_FromLongLong(size);
        if (number == NULL)
            return NULL;
        PyObject *made = PyObject_CallMethodOneArg((PyObject *)self, s_make_room, number);
        Py_DECREF(number);
        if (made == NULL)
            return NULL;
        Py_DECREF(made);
        offset = self->pos & self->segment.data_mask;
        if (self->segment.words == NULL || offset + size > self->segment.data_mask + 1) {
            PyErr_SetString(PyExc_RuntimeError, "no room was made for a message");
            return NULL;
        }
    }
    return self->segment.data + offset;
}

static inline void enter(Writer *self, word size, int encoding, word tick, word visible)
{
    word *entry = entry_of(&self->segment, self->head);
    entry[E_TICK] = tick;
    entry[E_VISIBLE] = visible;
    entry[E_TIME] = now();
    entry[E_POSITION] = self->pos;
    entry[E_LENGTH] = size;
    entry[E_ENCODING] = encoding;
    entry[E_SPARE] = 0;
    self->head += 1;
    store(&entry[E_SEQUENCE], self->head);
    self->pos += size;
    store(at(&self->control, self->head_word), self->head);
}

static int put_bytes(Writer *self, int encoding, const void *from, word size, word tick, word visible)
{
    char *place = place_for(self, size, encoding);
    if (place == NULL)
        return -1;
    memcpy(place, from, size);
    enter(self, size, encoding, tick, visible);
    return 0;
}

/* Returns the size, or -1 with an exception. */
static word put_object(Writer *self, int encoding, PyObject *payload, word tick, word visible)
{
    if (PyBytes_CheckExact(payload))
        return put_bytes(self, encoding, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), tick, visible) < 0
                   ? -1
                   : PyBytes_GET_SIZE(payload);
    PyObject *write = encoding == ARRAYS ? PyObject_GetAttr(payload, s_write) : NULL;
    if (write == NULL) { /* not Parts: bytes of another kind */
        PyErr_Clear();
        Py_buffer view;
        if (PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE) < 0)
            return -1;
        word size = put_bytes(self, encoding, view.buf, view.len, tick, visible) < 0 ? -1 : view.len;
        PyBuffer_Release(&view);
        return size;
    }
    word size = -1;
    PyObject *number = PyObject_GetAttr(payload, s_size), *into = NULL, *written = NULL;
    if (number != NULL)
        size = PyLong_AsLongLong(number);
    Py_XDECREF(number);
    char *place = size < 0 ? NULL : place_for(self, size, encoding);
    if (place != NULL) {
        word offset = place - self->segment.data;
        into = PySequence_GetSlice(self->segment.data_object, offset, offset + size);
    }
    if (into != NULL)
        written = PyObject_CallOneArg(write, into);
    Py_XDECREF(into);
    Py_DECREF(write);
    if (written == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a payload's size is not negative");
        return -1;
    }
    Py_DECREF(written);
    enter(self, size, encoding, tick, visible);
    return size;
}

static PyObject *Writer_put(Writer *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "put(encoding, payload, tick, visible)");
        return NULL;
    }
    long encoding = PyLong_AsLong(args[0]);
    word tick = PyLong_AsLongLong(args[2]), visible = PyLong_AsLongLong(args[3]);
    if (PyErr_Occurred())
        return NULL;
    word size = put_object(self, (int)encoding, args[1], tick, visible);
    return size < 0 ? NULL : PyLong_FromLongLong(size);
}

static inline void commit(Writer *self)
{
    if (self->committed != self->head) {
        self->committed = self->head;
        store(at(&self->control, self->commit_word), self->head);
    }
}

static PyObject *Writer_commit(Writer *self, PyObject *Py_UNUSED(ignored))
{
    commit(self);
    Py_RETURN_NONE;
}

static PyObject *Writer_data_mask(Writer *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(self->segment.data_mask);
}

static PyObject *Writer_mask(Writer *self, void *Py_UNUSED(closure)) { return PyLong_FromLongLong(self->segment.mask); }

static PyMemberDef Writer_members[] = {
    {"head", T_LONGLONG, offsetof(Writer, head), 0, "messages written"},
    {"committed", T_LONGLONG, offsetof(Writer, committed), 0, "messages that readers may have"},
    {"_pos", T_LONGLONG, offsetof(Writer, pos), 0, NULL},
    {"_slots_end", T_LONGLONG, offsetof(Writer, slots_end), 0, NULL},
    {"_room_end", T_LONGLONG, offsetof(Writer, room_end), 0, NULL},
    {NULL},
};

static PyGetSetDef Writer_getset[] = {
    {"_mask", (getter)Writer_mask, NULL, NULL, NULL},
    {"_data_mask", (getter)Writer_data_mask, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef Writer_methods[] = {
    {"_attach", (PyCFunction)(void (*)(void))Writer_attach, METH_FASTCALL, NULL},
    {"put", (PyCFunction)(void (*)(void))Writer_put, METH_FASTCALL, "Writes a message; returns its size in bytes."},
    {"commit", (PyCFunction)Writer_commit, METH_NOARGS, "Lets readers have what was put."},
    {NULL},
};

static PyTypeObject WriterType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus_core.memory.hotpath.native.WriterCore",
    .tp_doc = "The writing end of a lane; see `pure`.",
    .tp_basicsize = sizeof(Writer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Writer_init,
    .tp_dealloc = (destructor)Writer_dealloc,
    .tp_methods = Writer_methods,
    .tp_members = Writer_members,
    .tp_getset = Writer_getset,
};

#endif
