/* Memory of others: buffers that are held, the words in them, and a segment of a lane. A store that publishes is a release, a
 * load that decides is an acquire. Everything read from shared memory is checked against the bounds of its segment. */
#ifndef HORUS_SEGMENT_H
#define HORUS_SEGMENT_H

#include <time.h>

#include "words.h"

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

#endif
