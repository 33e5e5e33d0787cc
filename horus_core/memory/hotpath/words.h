/* Every number that C and Python must agree on, once: an enum here, and a table that words.py compares with Python's when the
 * module is loaded. A module that was compiled for other numbers is refused. */
#ifndef HORUS_WORDS_H
#define HORUS_WORDS_H

#include <stdint.h>

#define HORUS_WORDS(WORD)                                                                                              \
    /* control.py: the control segment */                                                                              \
    WORD(VERSION, 2)                                                                                                   \
    WORD(H_RELEASED, 3)                                                                                                \
    WORD(H_STOP, 6)                                                                                                    \
    WORD(H_STOP_ASKED, 7)                                                                                              \
    WORD(H_EXTERNAL, 9)                                                                                                \
    WORD(H_ADMITTED, 10)                                                                                               \
    WORD(H_SAFE_MODE, 18)                                                                                              \
    WORD(H_RELAY, 21)                                                                                                  \
    WORD(N_FINISHED, 0)                                                                                                \
    WORD(N_EXCUSED, 1)                                                                                                 \
    WORD(N_CURRENT, 6)                                                                                                 \
    WORD(N_STARTED, 7)                                                                                                 \
    WORD(N_TICKS, 8)                                                                                                   \
    WORD(N_BUSY, 9)                                                                                                    \
    WORD(N_BUSY_MAX, 10)                                                                                               \
    WORD(N_BUSY_MIN, 11)                                                                                               \
    WORD(N_BUSY_LAST, 12)                                                                                              \
    WORD(N_SENT, 13)                                                                                                   \
    WORD(N_SENT_BYTES, 14)                                                                                             \
    WORD(N_RECEIVED, 15)                                                                                               \
    WORD(N_DROPPED, 16)                                                                                                \
    WORD(N_OVERRUNS, 21)                                                                                               \
    WORD(N_STOP, 23)                                                                                                   \
    WORD(BUCKETS, 128)                                                                                                 \
    WORD(NEVER, -1)                                                                                                    \
    /* segment.py: a segment of a lane, and its index */                                                               \
    WORD(S_FIRST, 0)                                                                                                   \
    WORD(S_SLOTS, 1)                                                                                                   \
    WORD(S_DATA, 2)                                                                                                    \
    WORD(S_SEALED, 3)                                                                                                  \
    WORD(HEADER_WORDS, 8)                                                                                              \
    WORD(E_SEQUENCE, 0)                                                                                                \
    WORD(E_TICK, 1)                                                                                                    \
    WORD(E_VISIBLE, 2)                                                                                                 \
    WORD(E_TIME, 3)                                                                                                    \
    WORD(E_POSITION, 4)                                                                                                \
    WORD(E_LENGTH, 5)                                                                                                  \
    WORD(E_ENCODING, 6)                                                                                                \
    WORD(E_SPARE, 7)                                                                                                   \
    WORD(ENTRY_WORDS, 8)                                                                                               \
    WORD(ALIGN, 64)                                                                                                    \
    /* encoding.py: what the bytes of a message are */                                                                 \
    WORD(MSGPACK, 0)                                                                                                   \
    WORD(RAW, 1)                                                                                                       \
    WORD(ARRAYS, 2)                                                                                                    \
    /* turn.py: how a wait and a series of ticks end */                                                                \
    WORD(STOP, 0)                                                                                                      \
    WORD(READY, 1)                                                                                                     \
    WORD(SAFE, 2)                                                                                                      \
    WORD(ORPHAN, 3)                                                                                                    \
    WORD(STALE, 4)                                                                                                     \
    WORD(MISSED, 5)                                                                                                    \
    WORD(FAILED, 6)                                                                                                    \
    WORD(RAISED, 2)                                                                                                    \
    /* tick_rows.py, topics.py: a tick row, and what a node's topics are to a tick */                                                  \
    WORD(STATUS_OK, 0)                                                                                                 \
    WORD(STATUS_ERROR, 2)                                                                                              \
    WORD(ROW_HEAD, 5)                                                                                                  \
    WORD(ROW_INPUT, 3)                                                                                                 \
    WORD(OUTLET_FIELDS, 5)                                                                                             \
    WORD(INBOX_FIELDS, 4)                                                                                              \
    WORD(TURN_FIELDS, 14)

#define HORUS_ENUM(name, value) name = value,
enum { HORUS_WORDS(HORUS_ENUM) };
enum { COPY_UP_TO = 4096 };

typedef int64_t word;

#endif
