/* The hot path in C: the same classes as in `pure`, which says what they do. One translation unit, a header per concept, so that
 * what every tick calls is inlined. */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <structmember.h>

#include "turn.h"

static PyModuleDef native = {PyModuleDef_HEAD_INIT, .m_name = "native", .m_doc = "The hot path in C; see `pure`.", .m_size = -1};

static PyObject *words(void)
{
    struct {
        const char *name;
        long value;
    } all[] = {
#define HORUS_ROW(name, value) {#name, value},
        HORUS_WORDS(HORUS_ROW)
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
