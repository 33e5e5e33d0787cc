/* Turn: when it is a node's turn, and who is next; docs/tick-protocol.md. */
#ifndef HORUS_TURN_H
#define HORUS_TURN_H

#include <errno.h>
#include <semaphore.h>
#include <unistd.h>

#include "exchange.h"

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
        word status = STATUS_OK;
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
                status = STATUS_ERROR;
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
    .tp_doc = "When it is a node's turn, and who is next; see `pure`.",
    .tp_basicsize = sizeof(Turn),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Turn_init,
    .tp_dealloc = (destructor)Turn_dealloc,
    .tp_methods = Turn_methods,
};

#endif
