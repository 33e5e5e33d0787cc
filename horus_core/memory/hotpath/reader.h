/* ReaderCore: the reading end of a lane; lane.py says why. */
#ifndef HORUS_READER_H
#define HORUS_READER_H

#include "segment.h"

typedef struct {
    PyObject_HEAD
    Memory control;
    Segment segment;
    long long commit_word, generation_word, floor_word;
    long long capacity, cursor, end, dropped, generation, stop;
} Reader;

static int Reader_init(Reader *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"control", "commit_word", "generation_word", "floor_word", "capacity", NULL};
    PyObject *control;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OLLLL", names, &control, &self->commit_word, &self->generation_word,
                                     &self->floor_word, &self->capacity))
        return -1;
    int writes = self->floor_word != NEVER;
    word places[] = {self->commit_word, self->generation_word, writes ? self->floor_word : 0};
    if (hold_control(&self->control, control, writes, places, 3) < 0)
        return -1;
    self->cursor = self->end = self->dropped = self->stop = 0;
    self->generation = NEVER;
    detach(&self->segment);
    return 0;
}

static void Reader_dealloc(Reader *self)
{
    detach(&self->segment);
    release_memory(&self->control);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *Reader_attach(Reader *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_attach(words, data)");
        return NULL;
    }
    if (attach(&self->segment, args[0], args[1], 0) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Whether anything is new; -1 with an exception. */
static int open_reader(Reader *self, word limit)
{
    if (self->floor_word != NEVER)
        store(at(&self->control, self->floor_word), self->cursor);
    word end = load(at(&self->control, self->commit_word)), old = self->end;
    if (end == old)
        return 0;
    if (load(at(&self->control, self->generation_word)) != self->generation) {
        PyObject *followed = PyObject_CallMethodNoArgs((PyObject *)self, s_follow);
        if (followed == NULL)
            return -1;
        Py_DECREF(followed);
    }
    const Segment *segment = &self->segment;
    if (segment->words != NULL && load(&segment->words[S_SEALED]) == NEVER && old >= segment->words[S_FIRST]) {
        while (end > old) {
            word *entry = entry_of(segment, end - 1);
            if (load(&entry[E_SEQUENCE]) == end && entry[E_VISIBLE] <= limit)
                break;
            end -= 1;
        }
        self->stop = end;
    } else {
        PyObject *last = PyLong_FromLongLong(end), *bound = PyLong_FromLongLong(limit), *found = NULL;
        if (last != NULL && bound != NULL)
            found = PyObject_CallMethodObjArgs((PyObject *)self, s_visible, last, bound, NULL);
        Py_XDECREF(last);
        Py_XDECREF(bound);
        if (found == NULL)
            return -1;
        end = PyLong_AsLongLong(found);
        Py_DECREF(found);
        if (end == -1 && PyErr_Occurred())
            return -1;
    }
    self->end = end;
    if (end - self->cursor > self->capacity) {
        self->dropped += end - self->capacity - self->cursor;
        self->cursor = end - self->capacity;
    }
    return end > old;
}

static PyObject *Reader_open(Reader *self, PyObject *limit)
{
    word bound = PyLong_AsLongLong(limit);
    if (bound == -1 && PyErr_Occurred())
        return NULL;
    int new = open_reader(self, bound);
    return new < 0 ? NULL : PyBool_FromLong(new);
}

/* The value of a payload. `unpack` is how to read a plain msgpack object, or NULL; `decode` reads every kind, and words the
 * error of what cannot be read. */
static PyObject *value_of(Reader *self, word encoding, word offset, word size, PyObject *decode, PyObject *unpack)
{
    if (encoding == RAW && unpack != NULL)
        return PyBytes_FromStringAndSize(self->segment.data + offset, size);
    PyObject *payload = NULL, *value = NULL;
    if (encoding == MSGPACK && unpack != NULL && size <= COPY_UP_TO) {
        payload = PyBytes_FromStringAndSize(self->segment.data + offset, size);
        if (payload == NULL)
            return NULL;
        value = PyObject_CallOneArg(unpack, payload);
        if (value != NULL || !PyErr_ExceptionMatches(PyExc_Exception)) {
            Py_DECREF(payload);
            return value;
        }
        PyErr_Clear();
    } else
        payload = PySequence_GetSlice(self->segment.data_object, offset, offset + size);
    PyObject *number = PyLong_FromLongLong(encoding);
    if (payload != NULL && number != NULL)
        value = PyObject_CallFunctionObjArgs(decode, number, payload, NULL);
    Py_XDECREF(number);
    Py_XDECREF(payload);
    return value;
}

/* The next message; NULL with an exception, or without one if messages up to the end were overwritten. */
static PyObject *take(Reader *self, PyObject *decode, PyObject *unpack)
{
    while (self->cursor < self->end) {
        word sequence = self->cursor;
        if (sequence >= self->stop) {
            PyObject *number = PyLong_FromLongLong(sequence), *selected = NULL;
            if (number != NULL)
                selected = PyObject_CallMethodOneArg((PyObject *)self, s_select, number);
            Py_XDECREF(number);
            if (selected == NULL)
                return NULL;
            Py_DECREF(selected);
        }
        self->cursor = sequence + 1;
        word *held = self->segment.words;
        if (held != NULL) {
            word *entry = entry_of(&self->segment, sequence);
            if (load(&entry[E_SEQUENCE]) == sequence + 1) {
                word offset = entry[E_POSITION] & self->segment.data_mask, size = entry[E_LENGTH];
                word encoding = entry[E_ENCODING];
                if (size >= 0 && size <= self->segment.data_mask + 1 - offset) {
                    PyObject *value = value_of(self, encoding, offset, size, decode, unpack);
                    __atomic_thread_fence(__ATOMIC_ACQUIRE);
                    if (self->segment.words == held && load(&entry[E_SEQUENCE]) == sequence + 1)
                        return value;
                    if (value == NULL && !PyErr_ExceptionMatches(PyExc_Exception))
                        return NULL;
                    Py_XDECREF(value); /* it was overwritten while it was read */
                    PyErr_Clear();
                }
            }
        }
        self->dropped += 1;
    }
    return NULL;
}

static PyObject *Reader_take(Reader *self, PyObject *decode)
{
    PyObject *value = take(self, decode, NULL);
    if (value == NULL && PyErr_Occurred())
        return NULL;
    PyObject *found = PyTuple_Pack(2, value == NULL ? Py_False : Py_True, value == NULL ? Py_None : value);
    Py_XDECREF(value);
    return found;
}

/* The tick of the next message, of which there is one; the largest number if it was overwritten. */
static word next_tick(Reader *self)
{
    if (self->segment.words != NULL && self->cursor < self->stop && self->cursor >= self->segment.words[S_FIRST]) {
        word *entry = entry_of(&self->segment, self->cursor);
        word tick = entry[E_TICK];
        if (load(&entry[E_SEQUENCE]) == self->cursor + 1)
            return tick;
    }
    PyObject *found = PyObject_CallMethod((PyObject *)self, "peek_tick", NULL);
    if (found == NULL)
        return -1;
    word tick = PyLong_AsLongLong(found);
    Py_DECREF(found);
    return tick;
}

static PyMemberDef Reader_members[] = {
    {"capacity", T_LONGLONG, offsetof(Reader, capacity), 0, "messages that it may be behind at the start of a tick"},
    {"cursor", T_LONGLONG, offsetof(Reader, cursor), 0, "the sequence of the next message"},
    {"end", T_LONGLONG, offsetof(Reader, end), 0, "one past the last message that it may read now"},
    {"dropped", T_LONGLONG, offsetof(Reader, dropped), 0, "messages that it lost"},
    {"_generation", T_LONGLONG, offsetof(Reader, generation), 0, NULL},
    {"_stop", T_LONGLONG, offsetof(Reader, stop), 0, NULL},
    {NULL},
};

static PyMethodDef Reader_methods[] = {
    {"_attach", (PyCFunction)(void (*)(void))Reader_attach, METH_FASTCALL, NULL},
    {"open", (PyCFunction)Reader_open, METH_O, "Fixes what can be read; returns whether anything is new."},
    {"take", (PyCFunction)Reader_take, METH_O, "Reads the next message: (True, value) or (False, None)."},
    {NULL},
};

static PyTypeObject ReaderType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus_core.memory.hotpath.native.ReaderCore",
    .tp_doc = "The reading end of a lane; see `pure`.",
    .tp_basicsize = sizeof(Reader),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Reader_init,
    .tp_dealloc = (destructor)Reader_dealloc,
    .tp_methods = Reader_methods,
    .tp_members = Reader_members,
};

#endif
