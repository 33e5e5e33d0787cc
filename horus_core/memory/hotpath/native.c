/* The hot path in C: the same classes as pure.py, which says what they do; docs/tick-protocol.md and lane.py say why.
 *
 * Words of the shared segments are aligned 64-bit integers. A store that publishes is a release, a load that decides is an
 * acquire: that is what the fences of the Python code stand for. Everything read from shared memory is checked against
 * the bounds of its segment before it is used. */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* Places of words; words.py compares them with control.py when this module is loaded. */
enum {
    VERSION = 2,
    H_RELEASED = 3,
    H_STOP = 6,
    H_STOP_ASKED = 7,
    H_EXTERNAL = 9,
    H_ADMITTED = 10,
    H_SAFE_MODE = 18,
    H_RELAY = 21,
    N_FINISHED = 0,
    N_EXCUSED = 1,
    N_CURRENT = 6,
    N_STARTED = 7,
    N_TICKS = 8,
    N_BUSY = 9,
    N_BUSY_MAX = 10,
    N_BUSY_MIN = 11,
    N_BUSY_LAST = 12,
    N_SENT = 13,
    N_SENT_BYTES = 14,
    N_RECEIVED = 15,
    N_DROPPED = 16,
    N_OVERRUNS = 21,
    N_STOP = 23,
    BUCKETS = 128,
    MSGPACK = 0,
    RAW = 1,
    ARRAYS = 2,
};
enum { S_FIRST, S_SLOTS, S_DATA, S_SEALED, HEADER_WORDS = 8 };
enum { E_SEQUENCE, E_TICK, E_VISIBLE, E_TIME, E_POSITION, E_LENGTH, E_ENCODING, E_SPARE, ENTRY_WORDS = 8 };
enum { STOP, READY, SAFE, ORPHAN, STALE, MISSED, FAILED };
enum { OK = 0, ERROR = 2 }; /* runner.py */
enum { RAISED = 2 };
enum { NEVER = -1, ALIGN = 64, COPY_UP_TO = 4096 };

typedef int64_t word;

static inline word load(const word *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
static inline void store(word *at, word value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

static inline word now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (word)t.tv_sec * 1000000000 + t.tv_nsec;
}

static PyObject *s_make_room, *s_commit_as, *s_follow, *s_select, *s_visible, *s_unknown, *s_size, *s_write, *s_name,
    *s_copy, *s_failed, *s_tick, *s_started_ns;

/* A buffer of 64-bit words, or of bytes. The collector of cycles is not told of it: a memoryview that the collector has
 * cleared must not be released any more (CPython 3.11), and none refers to anything of ours. */
typedef struct {
    Py_buffer view;
    int held;
} Memory;

static void release_memory(Memory *memory)
{
    if (memory->held) {
        memory->held = 0;
        PyBuffer_Release(&memory->view);
    }
}

static int hold_memory(Memory *memory, PyObject *from, int writable)
{
    release_memory(memory);
    if (PyObject_GetBuffer(from, &memory->view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0)
        return -1;
    memory->held = 1;
    return 0;
}

/* A segment of a lane: `words` is its header and its index, `data` its ring; both are powers of two of places. */
typedef struct {
    Memory words_memory, data_memory;
    PyObject *data_object;
    word *words;
    char *data;
    word mask, data_mask;
} Segment;

static void detach(Segment *segment)
{
    segment->words = NULL;
    segment->data = NULL;
    segment->mask = segment->data_mask = -1;
    Py_CLEAR(segment->data_object);
    release_memory(&segment->words_memory);
    release_memory(&segment->data_memory);
}

static int attach(Segment *segment, PyObject *words, PyObject *data, int writable)
{
    detach(segment);
    if (words == Py_None)
        return 0;
    if (hold_memory(&segment->words_memory, words, writable) < 0 || hold_memory(&segment->data_memory, data, writable) < 0) {
        detach(segment);
        return -1;
    }
    Py_ssize_t slots = segment->words_memory.view.len / 8 / ENTRY_WORDS - 1, room = segment->data_memory.view.len;
    if (slots < 1 || slots & (slots - 1) || room < 1 || room & (room - 1) || (uintptr_t)segment->words_memory.view.buf % 8) {
        detach(segment);
        PyErr_SetString(PyExc_ValueError, "a segment's index and ring are powers of two");
        return -1;
    }
    segment->words = segment->words_memory.view.buf;
    segment->data = segment->data_memory.view.buf;
    segment->mask = slots - 1;
    segment->data_mask = room - 1;
    segment->data_object = Py_NewRef(data);
    return 0;
}

static inline word *entry_of(const Segment *segment, word sequence)
{
    return segment->words + HEADER_WORDS + (sequence & segment->mask) * ENTRY_WORDS;
}

/* The control words; `places` are checked once, so that the hot path need not. */
static int hold_control(Memory *memory, PyObject *from, int writable, const word *places, int count)
{
    if (hold_memory(memory, from, writable) < 0)
        return -1;
    for (int each = 0; each < count; each++)
        if (places[each] < 0 || places[each] >= memory->view.len / 8) {
            PyErr_SetString(PyExc_IndexError, "a word lies outside of the control segment");
            return -1;
        }
    return 0;
}

static inline word *at(const Memory *memory, word place) { return (word *)memory->view.buf + place; }

/* ---- WriterCore ---------------------------------------------------------------------------------------------------- */

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
    .tp_doc = "The writing end of a lane; see pure.py.",
    .tp_basicsize = sizeof(Writer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Writer_init,
    .tp_dealloc = (destructor)Writer_dealloc,
    .tp_methods = Writer_methods,
    .tp_members = Writer_members,
    .tp_getset = Writer_getset,
};

/* ---- ReaderCore ---------------------------------------------------------------------------------------------------- */

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
    .tp_doc = "The reading end of a lane; see pure.py.",
    .tp_basicsize = sizeof(Reader),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Reader_init,
    .tp_dealloc = (destructor)Reader_dealloc,
    .tp_methods = Reader_methods,
    .tp_members = Reader_members,
};

/* ---- TickCore ------------------------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    Memory control;
    word *row, *histogram;
    long long budget, external_seen, tick, visible, started, duration, previous;
    PyObject *inputs, *external, *readers, *trigger, *writers, *trace, *outlets, *inboxes;
    long long *lags;  /* of the inputs */
    long long *bounds; /* of each reader when the tick began: cursor, end */
    char *row_words; /* the tick's row */
} Tick;

static int all_are(PyObject *tuple, PyTypeObject *type)
{
    for (Py_ssize_t each = 0; each < PyTuple_GET_SIZE(tuple); each++)
        if (!PyObject_TypeCheck(PyTuple_GET_ITEM(tuple, each), type)) {
            PyErr_Format(PyExc_TypeError, "expected a %s", type->tp_name);
            return 0;
        }
    return 1;
}

/* As a tuple of objects of `type`, a new reference. */
static PyObject *tuple_of(PyObject *sequence, PyTypeObject *type)
{
    PyObject *tuple = PySequence_Tuple(sequence);
    if (tuple != NULL && !all_are(tuple, type))
        Py_CLEAR(tuple);
    return tuple;
}

static int Tick_traverse(Tick *self, visitproc visit, void *arg)
{
    Py_VISIT(self->inputs);
    Py_VISIT(self->external);
    Py_VISIT(self->readers);
    Py_VISIT(self->trigger);
    Py_VISIT(self->writers);
    Py_VISIT(self->trace);
    Py_VISIT(self->outlets);
    Py_VISIT(self->inboxes);
    return 0;
}

static int Tick_clear(Tick *self)
{
    Py_CLEAR(self->inputs);
    Py_CLEAR(self->external);
    Py_CLEAR(self->readers);
    Py_CLEAR(self->trigger);
    Py_CLEAR(self->writers);
    Py_CLEAR(self->trace);
    Py_CLEAR(self->outlets);
    Py_CLEAR(self->inboxes);
    return 0;
}

static void free_places(Tick *self)
{
    PyMem_Free(self->lags);
    PyMem_Free(self->bounds);
    PyMem_Free(self->row_words);
    self->lags = self->bounds = NULL;
    self->row_words = NULL;
}

static void Tick_dealloc(Tick *self)
{
    PyObject_GC_UnTrack(self);
    Tick_clear(self);
    free_places(self);
    release_memory(&self->control);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *Tick_equip(Tick *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"control", "row",    "histogram", "budget_ns", "inputs",  "external", "readers",
                            "trigger", "writers", "trace",     "outlets",   "inboxes", NULL};
    PyObject *control, *inputs, *external, *readers, *trigger, *writers, *trace, *outlets, *inboxes;
    long long row, histogram, budget;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OLLLOOOOOO!O!O!", names, &control, &row, &histogram, &budget, &inputs,
                                     &external, &readers, &trigger, &writers, &WriterType, &trace, &PyDict_Type, &outlets,
                                     &PyDict_Type, &inboxes))
        return NULL;
    Tick_clear(self);
    free_places(self);
    word places[] = {H_RELAY, row, row + N_STOP, histogram, histogram + BUCKETS - 1};
    if (hold_control(&self->control, control, 1, places, 5) < 0)
        return NULL;
    self->row = at(&self->control, row);
    self->histogram = at(&self->control, histogram);
    self->budget = budget;
    self->external_seen = self->tick = self->visible = self->started = self->duration = 0;
    self->previous = NEVER;
    PyObject *pairs = PySequence_Tuple(inputs);
    if (pairs == NULL)
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(pairs);
    self->inputs = PyTuple_New(count);
    self->lags = PyMem_Calloc(count + 1, sizeof *self->lags);
    if (self->inputs == NULL || self->lags == NULL) {
        Py_DECREF(pairs);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t each = 0; each < count; each++) {
        PyObject *reader;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(pairs, each), "O!L", &ReaderType, &reader, &self->lags[each])) {
            Py_DECREF(pairs);
            return NULL;
        }
        PyTuple_SET_ITEM(self->inputs, each, Py_NewRef(reader));
    }
    Py_DECREF(pairs);
    self->external = tuple_of(external, &ReaderType);
    self->readers = tuple_of(readers, &ReaderType);
    self->trigger = tuple_of(trigger, &ReaderType);
    self->writers = tuple_of(writers, &WriterType);
    if (!self->external || !self->readers || !self->trigger || !self->writers)
        return NULL;
    self->trace = Py_NewRef(trace);
    self->outlets = Py_NewRef(outlets);
    self->inboxes = Py_NewRef(inboxes);
    self->bounds = PyMem_Calloc(2 * PyTuple_GET_SIZE(self->readers) + 1, sizeof *self->bounds);
    self->row_words = PyMem_Calloc(5 + 3 * PyTuple_GET_SIZE(self->readers), sizeof(word));
    if (self->bounds == NULL || self->row_words == NULL)
        return PyErr_NoMemory();
    PyObject *key, *entry;
    Py_ssize_t place = 0;
    while (PyDict_Next(outlets, &place, &key, &entry))
        if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != 5 || !PyObject_TypeCheck(PyTuple_GET_ITEM(entry, 0), &WriterType) ||
            (PyTuple_GET_ITEM(entry, 2) != Py_None && !PyList_CheckExact(PyTuple_GET_ITEM(entry, 3)))) {
            PyErr_SetString(PyExc_TypeError, "an outlet is (lane, encode, pack or None, list, rest)");
            return NULL;
        }
    place = 0;
    while (PyDict_Next(inboxes, &place, &key, &entry))
        if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != 4 || !PyTuple_Check(PyTuple_GET_ITEM(entry, 0)) ||
            !all_are(PyTuple_GET_ITEM(entry, 0), &ReaderType)) {
            PyErr_SetString(PyExc_TypeError, "an inbox is (lanes, decode, view, unpack)");
            return NULL;
        }
    Py_RETURN_NONE;
}

static int equipped(Tick *self)
{
    if (self->inboxes == NULL)
        PyErr_SetString(PyExc_RuntimeError, "this node is not equipped");
    return self->inboxes != NULL;
}

static word ends(PyObject *readers)
{
    word sum = 0;
    for (Py_ssize_t each = 0; each < PyTuple_GET_SIZE(readers); each++)
        sum += ((Reader *)PyTuple_GET_ITEM(readers, each))->end;
    return sum;
}

/* Whether the node runs in `tick`; -1 with an exception. */
static int begin(Tick *self, word tick, int out, int safe)
{
    word started = now(), heard = ends(self->trigger);
    for (Py_ssize_t each = 0; each < PyTuple_GET_SIZE(self->inputs); each++)
        if (open_reader((Reader *)PyTuple_GET_ITEM(self->inputs, each), tick - self->lags[each]) < 0)
            return -1;
    word admitted = load(at(&self->control, H_ADMITTED));
    if (admitted != self->external_seen) {
        self->external_seen = admitted;
        for (Py_ssize_t each = 0; each < PyTuple_GET_SIZE(self->external); each++)
            if (open_reader((Reader *)PyTuple_GET_ITEM(self->external, each), tick) < 0)
                return -1;
    }
    if (out || (PyTuple_GET_SIZE(self->trigger) && !safe && heard == ends(self->trigger)))
        return 0;
    self->tick = tick;
    self->started = started;
    store(&self->row[N_CURRENT], tick);
    store(&self->row[N_STARTED], started);
    long long *bound = self->bounds;
    for (Py_ssize_t each = 0; each < PyTuple_GET_SIZE(self->readers); each++) {
        Reader *reader = (Reader *)PyTuple_GET_ITEM(self->readers, each);
        *bound++ = reader->cursor;
        *bound++ = reader->end;
    }
    return 1;
}

static PyObject *Tick_begin(Tick *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "begin(tick, out, safe)");
        return NULL;
    }
    if (!equipped(self))
        return NULL;
    word tick = PyLong_AsLongLong(args[0]);
    int out = PyObject_IsTrue(args[1]), safe = PyObject_IsTrue(args[2]);
    if (PyErr_Occurred())
        return NULL;
    int runs = begin(self, tick, out, safe);
    return runs < 0 ? NULL : PyBool_FromLong(runs);
}

static inline void ended(Tick *self)
{
    self->duration = now() - self->started;
    self->previous = self->tick;
}

static PyObject *Tick_ended(Tick *self, PyObject *Py_UNUSED(ignored))
{
    ended(self);
    Py_RETURN_NONE;
}

static int bucket_of(word duration)
{
    if (duration < 4)
        return duration < 0 ? 0 : (int)duration;
    int bits = 64 - __builtin_clzll((unsigned long long)duration);
    int bucket = bits * 4 + (int)(duration >> (bits - 3) & 3);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* Commits the node's lanes in their tick, or from `visible` on, and writes the tick's row: 0, or -1 with an exception. */
static int conclude(Tick *self, word status, word visible)
{
    if (visible != NEVER)
        self->visible = visible;
    for (Py_ssize_t each = 0; each < PyTuple_GET_SIZE(self->writers); each++) {
        Writer *writer = (Writer *)PyTuple_GET_ITEM(self->writers, each);
        if (visible == NEVER) {
            commit(writer);
            continue;
        }
        PyObject *number = PyLong_FromLongLong(visible), *done = NULL;
        if (number != NULL)
            done = PyObject_CallMethodOneArg((PyObject *)writer, s_commit_as, number);
        Py_XDECREF(number);
        if (done == NULL)
            return -1;
        Py_DECREF(done);
    }
    word *words = (word *)self->row_words, *row = self->row, dropped = 0, received = 0;
    Py_ssize_t readers = PyTuple_GET_SIZE(self->readers);
    for (Py_ssize_t each = 0; each < readers; each++) {
        Reader *reader = (Reader *)PyTuple_GET_ITEM(self->readers, each);
        word *place = words + 5 + 3 * each;
        place[0] = self->bounds[2 * each];
        place[1] = reader->cursor;
        place[2] = self->bounds[2 * each + 1];
        received += place[1] - place[0];
        dropped += reader->dropped;
    }
    words[0] = self->started;
    words[1] = self->duration;
    words[2] = status;
    words[3] = self->visible;
    words[4] = dropped;
    Writer *trace = (Writer *)self->trace;
    if (put_bytes(trace, RAW, words, (5 + 3 * readers) * 8, self->tick, self->visible) < 0)
        return -1;
    commit(trace);
    word duration = self->duration;
    store(&row[N_TICKS], row[N_TICKS] + 1);
    store(&row[N_BUSY], row[N_BUSY] + duration);
    store(&row[N_BUSY_LAST], duration);
    if (duration > row[N_BUSY_MAX])
        store(&row[N_BUSY_MAX], duration);
    if (duration < row[N_BUSY_MIN])
        store(&row[N_BUSY_MIN], duration);
    if (duration > self->budget)
        store(&row[N_OVERRUNS], row[N_OVERRUNS] + 1);
    if (received)
        store(&row[N_RECEIVED], row[N_RECEIVED] + received);
    if (dropped)
        store(&row[N_DROPPED], dropped);
    word *bucket = self->histogram + bucket_of(duration);
    store(bucket, *bucket + 1);
    store(&row[N_CURRENT], NEVER);
    return 0;
}

static PyObject *Tick_conclude(Tick *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "conclude(status[, visible])");
        return NULL;
    }
    if (!equipped(self))
        return NULL;
    word status = PyLong_AsLongLong(args[0]), visible = count == 2 ? PyLong_AsLongLong(args[1]) : NEVER;
    if (PyErr_Occurred() || conclude(self, status, visible) < 0)
        return NULL;
    Py_RETURN_NONE;
}

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
    .tp_doc = "A node's part in a tick, but for the callback; see pure.py.",
    .tp_basicsize = sizeof(Tick),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)Tick_dealloc,
    .tp_traverse = (traverseproc)Tick_traverse,
    .tp_clear = (inquiry)Tick_clear,
    .tp_methods = Tick_methods,
    .tp_members = Tick_members,
};

/* ---- Turn ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    word finished, excused, jobs, ticks, back;
} Need;

typedef struct {
    sem_t *go;
    word jobs, ticks;
} Hearer;

typedef struct {
    PyObject_HEAD
    Memory control;
    word *row;
    sem_t *go, *done, *ticket; /* no ticket in lockstep */
    long long parent, poll, spin, jobs, ticks;
    int ends;
    Py_ssize_t need_count, hearer_count, source_count;
    Need *needs;
    Hearer *hearers;
    sem_t **sources;
} Turn;

/* The semaphore with the name of a posix_ipc one; it stays open as long as the process. */
static sem_t *opened(PyObject *semaphore)
{
    PyObject *name = PyObject_GetAttr(semaphore, s_name);
    if (name == NULL)
        return NULL;
    const char *path = PyUnicode_AsUTF8(name);
    sem_t *found = path == NULL ? SEM_FAILED : sem_open(path, 0);
    if (path != NULL && found == SEM_FAILED)
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    Py_DECREF(name);
    return found == SEM_FAILED ? NULL : found;
}

static inline word last_run(word tick, word jobs, word ticks)
{
    if (jobs == 0)
        return tick;
    __int128 job = (__int128)tick * jobs;
    job = job >= 0 ? job / ticks : -((-job + ticks - 1) / ticks);
    __int128 start = job * ticks;
    return (word)(start >= 0 ? (start + jobs - 1) / jobs : -((-start) / jobs));
}

/* The first tick after `tick` in which a node with these jobs per ticks runs. */
static inline word next_run(word tick, word jobs, word ticks)
{
    __int128 job = (__int128)tick * jobs;
    job = (job >= 0 ? job / ticks : -((-job + ticks - 1) / ticks)) + 1;
    return (word)((job * ticks + jobs - 1) / jobs);
}

static void Turn_free(Turn *self)
{
    PyMem_Free(self->needs);
    PyMem_Free(self->hearers);
    PyMem_Free(self->sources);
    self->needs = NULL;
    self->hearers = NULL;
    self->sources = NULL;
}

static void Turn_dealloc(Turn *self)
{
    Turn_free(self);
    release_memory(&self->control);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int Turn_init(Turn *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"control", "row",  "go",      "ticket", "done", "parent", "poll_ns", "spin_ns",
                            "needs",   "hearers", "sources", "jobs",   "ticks", "ends", NULL};
    PyObject *control, *go, *needs, *hearers, *ticket, *done, *sources;
    long long row;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OLOOOLLLOOOLLp", names, &control, &row, &go, &ticket, &done, &self->parent,
                                     &self->poll, &self->spin, &needs, &hearers, &sources, &self->jobs, &self->ticks,
                                     &self->ends))
        return -1;
    if (self->jobs < 1 || self->ticks < 1) {
        PyErr_SetString(PyExc_ValueError, "jobs and ticks are positive");
        return -1;
    }
    Turn_free(self);
    word places[] = {H_RELAY, row, row + N_STOP};
    if (hold_control(&self->control, control, 1, places, 3) < 0)
        return -1;
    self->row = at(&self->control, row);
    if ((self->go = opened(go)) == NULL || (self->done = opened(done)) == NULL)
        return -1;
    self->ticket = NULL;
    if (ticket != Py_None && (self->ticket = opened(ticket)) == NULL)
        return -1;
    PyObject *lists[] = {PySequence_Tuple(needs), PySequence_Tuple(hearers), PySequence_Tuple(sources)};
    int result = -1;
    if (!lists[0] || !lists[1] || !lists[2])
        goto leave;
    self->need_count = PyTuple_GET_SIZE(lists[0]);
    self->hearer_count = PyTuple_GET_SIZE(lists[1]);
    self->source_count = PyTuple_GET_SIZE(lists[2]);
    self->needs = PyMem_Calloc(self->need_count + 1, sizeof *self->needs);
    self->hearers = PyMem_Calloc(self->hearer_count + 1, sizeof *self->hearers);
    self->sources = PyMem_Calloc(self->source_count + 1, sizeof *self->sources);
    if (!self->needs || !self->hearers || !self->sources) {
        PyErr_NoMemory();
        goto leave;
    }
    for (Py_ssize_t each = 0; each < self->need_count; each++) {
        Need *need = &self->needs[each];
        long long finished, excused, jobs, ticks, back;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(lists[0], each), "LLLLL", &finished, &excused, &jobs, &ticks, &back))
            goto leave;
        *need = (Need){finished, excused, jobs, ticks, back};
        word both[] = {finished, excused};
        for (int one = 0; one < 2; one++)
            if (both[one] < 0 || both[one] >= self->control.view.len / 8 || jobs < 0 || (jobs && ticks < 1)) {
                PyErr_SetString(PyExc_IndexError, "a word lies outside of the control segment");
                goto leave;
            }
    }
    for (Py_ssize_t each = 0; each < self->hearer_count; each++) {
        PyObject *semaphore;
        long long jobs, ticks;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(lists[1], each), "OLL", &semaphore, &jobs, &ticks))
            goto leave;
        self->hearers[each] = (Hearer){opened(semaphore), jobs, ticks};
        if (self->hearers[each].go == NULL)
            goto leave;
    }
    for (Py_ssize_t each = 0; each < self->source_count; each++)
        if ((self->sources[each] = opened(PyTuple_GET_ITEM(lists[2], each))) == NULL)
            goto leave;
    result = 0;
leave:
    for (int each = 0; each < 3; each++)
        Py_XDECREF(lists[each]);
    return result;
}

/* Whether everybody that this node waits for has finished `tick`, or is excused. */
static inline int due(Turn *self, word tick)
{
    for (Py_ssize_t each = 0; each < self->need_count; each++) {
        const Need *need = &self->needs[each];
        word needed = last_run(tick - need->back, need->jobs, need->ticks);
        if (load(at(&self->control, need->finished)) < needed && load(at(&self->control, need->excused)) < needed)
            return 0;
    }
    return 1;
}

/* READY, STOP, SAFE, or -1: nothing yet. */
static inline int look(Turn *self, word tick, int mind_safe)
{
    const Memory *control = &self->control;
    word released = load(at(control, H_RELEASED));
    if (mind_safe) {
        word safe = load(at(control, H_SAFE_MODE));
        if (safe && released >= safe - 1)
            return SAFE;
    }
    if (released >= tick && due(self, tick))
        return READY;
    if (load(at(control, H_STOP)) || load(&self->row[N_STOP]))
        return STOP;
    return -1;
}

/* Sleeps for a post: 0, or errno. Called without the interpreter's lock. */
static int sleep_for(Turn *self)
{
    if (sem_trywait(self->go) == 0)
        return 0;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    word ns = until.tv_nsec + self->poll;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    return sem_clockwait(self->go, CLOCK_MONOTONIC, &until) == 0 ? 0 : errno;
}

/* Waits until it is this node's turn, or something else: READY, STOP, SAFE or ORPHAN; -1 with an exception. */
static int wait_turn(Turn *self, word tick, int mind_safe)
{
    int problem = 0, found = look(self, tick, mind_safe);
    word spin_until = self->spin ? now() + self->spin : 0;
    while (found < 0) {
        Py_BEGIN_ALLOW_THREADS
        do {
            problem = 0;
            if (!spin_until || now() >= spin_until)
                problem = sleep_for(self);
            else
#if defined(__x86_64__)
                __builtin_ia32_pause();
#else
                __asm__ __volatile__("yield");
#endif
            found = look(self, tick, mind_safe);
        } while (found < 0 && problem == 0);
        Py_END_ALLOW_THREADS
        if (problem == EINTR && PyErr_CheckSignals() < 0)
            return -1;
        if (found < 0 && problem == ETIMEDOUT && getppid() != (pid_t)self->parent)
            return ORPHAN;
    }
    /* What was posted up to now has been seen: words are stored before the post. So no surplus adds up. */
    while (sem_trywait(self->go) == 0)
        ;
    return found;
}

static PyObject *Turn_wait(Turn *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "wait(tick, mind_safe)");
        return NULL;
    }
    word tick = PyLong_AsLongLong(args[0]);
    int mind_safe = PyObject_IsTrue(args[1]);
    if (PyErr_Occurred())
        return NULL;
    int found = wait_turn(self, tick, mind_safe);
    return found < 0 ? NULL : PyLong_FromLong(found);
}

static PyObject *Turn_sleep(Turn *self, PyObject *Py_UNUSED(ignored))
{
    int problem;
    Py_BEGIN_ALLOW_THREADS
    problem = sleep_for(self);
    Py_END_ALLOW_THREADS
    if (problem == EINTR && PyErr_CheckSignals() < 0)
        return NULL;
    return PyBool_FromLong(problem != ETIMEDOUT || getppid() == (pid_t)self->parent);
}

static void finish(Turn *self, word tick, int end)
{
    const Memory *control = &self->control;
    if (self->source_count && load(at(control, H_RELAY)) > tick && !load(at(control, H_STOP)) &&
        !load(at(control, H_STOP_ASKED)) && !load(at(control, H_SAFE_MODE)) &&
        load(at(control, H_EXTERNAL)) == load(at(control, H_ADMITTED))) {
        store(at(control, H_RELEASED), tick + 1);
        store(&self->row[N_FINISHED], tick);
        for (Py_ssize_t each = 0; each < self->source_count; each++)
            sem_post(self->sources[each]);
        return;
    }
    store(&self->row[N_FINISHED], tick);
    for (Py_ssize_t each = 0; each < self->hearer_count; each++) {
        const Hearer *hearer = &self->hearers[each];
        if (last_run(tick, hearer->jobs, hearer->ticks) == tick)
            sem_post(hearer->go);
    }
    if (end)
        sem_post(self->done);
}

static PyObject *Turn_finish(Turn *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "finish(tick, end)");
        return NULL;
    }
    word tick = PyLong_AsLongLong(args[0]);
    int end = PyObject_IsTrue(args[1]);
    if (PyErr_Occurred())
        return NULL;
    finish(self, tick, end);
    Py_RETURN_NONE;
}

/* Hands the exception that is set to the node's `_failed`: whether that lets it go on; -1 with another exception. */
static int goes_on(Tick *core)
{
    PyObject *type, *problem, *trace;
    PyErr_Fetch(&type, &problem, &trace);
    PyErr_NormalizeException(&type, &problem, &trace);
    if (trace != NULL)
        PyException_SetTraceback(problem, trace);
    PyObject *answer = PyObject_CallMethodOneArg((PyObject *)core, s_failed, problem);
    Py_XDECREF(type);
    Py_XDECREF(problem);
    Py_XDECREF(trace);
    if (answer == NULL)
        return -1;
    int result = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return result;
}

static int set_word(PyObject *object, PyObject *name, word value)
{
    PyObject *number = PyLong_FromLongLong(value);
    int result = number == NULL ? -1 : PyObject_SetAttr(object, name, number);
    Py_XDECREF(number);
    return result;
}

static PyObject *Turn_run(Turn *self, PyObject *args)
{
    Tick *core;
    PyObject *callback, *node, *clock;
    long long tick, most;
    if (!PyArg_ParseTuple(args, "O!OOOLL", &TickType, &core, &callback, &node, &clock, &tick, &most))
        return NULL;
    if (!equipped(core))
        return NULL;
    int why = READY, ran = 0;
    for (; most > 0; most--) {
        why = wait_turn(self, tick, 1);
        if (why < 0)
            return NULL;
        if (why != READY)
            break;
        word following = next_run(tick, self->jobs, self->ticks);
        if (self->ticket != NULL && load(&self->row[N_EXCUSED]) >= tick && load(at(&self->control, H_RELEASED)) >= following) {
            why = STALE;
            break;
        }
        ran = begin(core, tick, 0, 0);
        if (ran < 0)
            return NULL;
        word status = OK;
        if (ran) {
            core->visible = tick;
            if (set_word(clock, s_tick, tick) < 0 || set_word(clock, s_started_ns, core->started) < 0)
                return NULL;
            PyObject *result = PyObject_CallOneArg(callback, node);
            if (result == NULL) {
                if (!PyErr_ExceptionMatches(PyExc_Exception))
                    return NULL;
                int goes = goes_on(core);
                if (goes < 0)
                    return NULL;
                status = ERROR;
                ran = RAISED;
                if (!goes)
                    why = FAILED;
            }
            Py_XDECREF(result);
            ended(core);
            if (why == FAILED)
                break;
        }
        if (self->ticket != NULL && sem_trywait(self->ticket) != 0) {
            why = MISSED;
            break;
        }
        if (ran && conclude(core, status, NEVER) < 0)
            return NULL;
        finish(self, tick, self->ends);
        tick = following;
    }
    return Py_BuildValue("Lii", tick, why, ran);
}

static PyMethodDef Turn_methods[] = {
    {"wait", (PyCFunction)(void (*)(void))Turn_wait, METH_FASTCALL, "Waits until this node may run a tick."},
    {"sleep", (PyCFunction)Turn_sleep, METH_NOARGS, "Waits for a post; returns whether the supervisor lives."},
    {"run", (PyCFunction)Turn_run, METH_VARARGS, "Runs ticks of a node with nothing special, one after the other."},
    {"finish", (PyCFunction)(void (*)(void))Turn_finish, METH_FASTCALL, "The node's tick is over."},
    {NULL},
};

static PyTypeObject TurnType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "horus_core.memory.hotpath.native.Turn",
    .tp_doc = "When it is a node's turn, and who is next; see pure.py.",
    .tp_basicsize = sizeof(Turn),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Turn_init,
    .tp_dealloc = (destructor)Turn_dealloc,
    .tp_methods = Turn_methods,
};

/* ---- the module ---------------------------------------------------------------------------------------------------- */

static PyModuleDef native = {PyModuleDef_HEAD_INIT, .m_name = "native", .m_doc = "The hot path in C; see pure.py.", .m_size = -1};

static PyObject *words(void)
{
    struct {
        const char *name;
        long value;
    } all[] = {
#define WORD(name) {#name, name}
        WORD(VERSION),    WORD(H_RELEASED),  WORD(H_STOP),      WORD(H_STOP_ASKED), WORD(H_EXTERNAL), WORD(H_ADMITTED),
        WORD(H_SAFE_MODE), WORD(H_RELAY),    WORD(N_FINISHED),  WORD(N_EXCUSED),    WORD(N_CURRENT),  WORD(N_STARTED),
        WORD(N_TICKS),    WORD(N_BUSY),      WORD(N_BUSY_MAX),  WORD(N_BUSY_MIN),   WORD(N_BUSY_LAST), WORD(N_SENT),
        WORD(N_SENT_BYTES), WORD(N_RECEIVED), WORD(N_DROPPED),  WORD(N_OVERRUNS),   WORD(N_STOP),     WORD(BUCKETS),
        WORD(MSGPACK),    WORD(RAW),         WORD(ARRAYS),
    };
    PyObject *found = PyDict_New();
    for (size_t each = 0; found != NULL && each < sizeof all / sizeof *all; each++) {
        PyObject *number = PyLong_FromLong(all[each].value);
        if (number == NULL || PyDict_SetItemString(found, all[each].name, number) < 0)
            Py_CLEAR(found);
        Py_XDECREF(number);
    }
    return found;
}

PyMODINIT_FUNC PyInit_native(void)
{
    struct {
        PyObject **place;
        const char *word;
    } names[] = {
        {&s_make_room, "_make_room"}, {&s_commit_as, "commit_as"}, {&s_follow, "follow"}, {&s_select, "_select"},
        {&s_visible, "_visible"},     {&s_unknown, "_unknown"},    {&s_size, "size"},     {&s_write, "write"},
        {&s_name, "name"},            {&s_copy, "copy"},
        {&s_failed, "_failed"},       {&s_tick, "tick"},           {&s_started_ns, "started_ns"},
    };
    for (size_t each = 0; each < sizeof names / sizeof *names; each++)
        if ((*names[each].place = PyUnicode_InternFromString(names[each].word)) == NULL)
            return NULL;
    PyObject *module = PyModule_Create(&native);
    if (module == NULL)
        return NULL;
    PyObject *table = words();
    if (table == NULL || PyModule_AddObjectRef(module, "WORDS", table) < 0)
        goto failed;
    Py_CLEAR(table);
    struct {
        const char *name;
        PyTypeObject *type;
    } types[] = {{"WriterCore", &WriterType}, {"ReaderCore", &ReaderType}, {"TickCore", &TickType}, {"Turn", &TurnType}};
    for (size_t each = 0; each < sizeof types / sizeof *types; each++)
        if (PyType_Ready(types[each].type) < 0 || PyModule_AddObjectRef(module, types[each].name, (PyObject *)types[each].type) < 0)
            goto failed;
    return module;
failed:
    Py_XDECREF(table);
    Py_DECREF(module);
    return NULL;
}
