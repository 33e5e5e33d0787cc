/* TickCore: what a node's tick begins and ends with, and its send and recv. */
#ifndef HORUS_TICK_H
#define HORUS_TICK_H

#include "reader.h"
#include "writer.h"

typedef struct {
    PyObject_HEAD
    Memory control;
    word *row, *histogram;
    long long budget, external_seen, tick, visible, started, duration, previous, dropped_before;
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
    self->dropped_before = self->row[N_DROPPED]; /* by earlier processes of this node */
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
    self->row_words = PyMem_Calloc(ROW_HEAD + ROW_INPUT * PyTuple_GET_SIZE(self->readers), sizeof(word));
    if (self->bounds == NULL || self->row_words == NULL)
        return PyErr_NoMemory();
    PyObject *key, *entry;
    Py_ssize_t place = 0;
    while (PyDict_Next(outlets, &place, &key, &entry))
        if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != OUTLET_FIELDS || !PyObject_TypeCheck(PyTuple_GET_ITEM(entry, 0), &WriterType) ||
            (PyTuple_GET_ITEM(entry, 2) != Py_None && !PyList_CheckExact(PyTuple_GET_ITEM(entry, 3)))) {
            PyErr_SetString(PyExc_TypeError, "an outlet is (lane, encode, pack or None, list, rest)");
            return NULL;
        }
    place = 0;
    while (PyDict_Next(inboxes, &place, &key, &entry))
        if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != INBOX_FIELDS || !PyTuple_Check(PyTuple_GET_ITEM(entry, 0)) ||
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
        for (Py_ssize_t each = 0; each < PyTuple_GET_SIZE(self->external); each++) {
            Reader *reader = (Reader *)PyTuple_GET_ITEM(self->external, each);
            if (open_reader(reader, tick) < 0)
                return -1;
            if (reader->end != load(at(&reader->control, reader->commit_word)))
                self->external_seen = NEVER; /* this tick began after a later one's release had admitted more */
        }
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
    word *words = (word *)self->row_words, *row = self->row, dropped = self->dropped_before, received = 0;
    Py_ssize_t readers = PyTuple_GET_SIZE(self->readers);
    for (Py_ssize_t each = 0; each < readers; each++) {
        Reader *reader = (Reader *)PyTuple_GET_ITEM(self->readers, each);
        word *place = words + ROW_HEAD + ROW_INPUT * each;
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
    if (put_bytes(trace, RAW, words, (ROW_HEAD + ROW_INPUT * readers) * 8, self->tick, self->visible) < 0)
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

#endif
