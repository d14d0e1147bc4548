/* Segments of texts that need no look: what gateway/syntax/plain.py says, compiled.

   One pass over a text finds its separators; strings and tuples are made once, as they are to stand.  What
   it does is bounded by its arguments: nothing is kept, nothing is read beyond a string's own length. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The components between two places of a text, as a tuple of strings. */
static PyObject *
components(PyObject *text, Py_ssize_t start, Py_ssize_t end, Py_UCS4 separator)
{
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t count = 1;
    for (Py_ssize_t at = start; at < end; at++) {
        count += PyUnicode_READ(kind, data, at) == separator;
    }
    PyObject *made = PyTuple_New(count);
    if (made == NULL) {
        return NULL;
    }
    Py_ssize_t from = start;
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_ssize_t to = from;
        while (to < end && PyUnicode_READ(kind, data, to) != separator) {
            to++;
        }
        PyObject *part = PyUnicode_Substring(text, from, to);
        if (part == NULL) {
            Py_DECREF(made);
            return NULL;
        }
        PyTuple_SET_ITEM(made, index, part);
        from = to + 1;
    }
    return made;
}

/* The elements after the tag, which ends at `end_of_tag`, as a tuple of tuples of strings. */
static PyObject *
elements(PyObject *text, Py_ssize_t end_of_tag, Py_UCS4 element, Py_UCS4 component)
{
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text), count = 0;
    for (Py_ssize_t at = end_of_tag; at < length; at++) {
        count += PyUnicode_READ(kind, data, at) == element;
    }
    PyObject *made = PyTuple_New(count);
    if (made == NULL) {
        return NULL;
    }
    Py_ssize_t from = end_of_tag + 1;
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_ssize_t to = from;
        while (to < length && PyUnicode_READ(kind, data, to) != element) {
            to++;
        }
        PyObject *parts = components(text, from, to, component);
        if (parts == NULL) {
            Py_DECREF(made);
            return NULL;
        }
        PyTuple_SET_ITEM(made, index, parts);
        from = to + 1;
    }
    return made;
}

/* 1: `made` has the segment of a text.  0: its tag is none of those.  -1: an exception is set. */
static int
segment(PyObject *type, PyObject *text, PyObject *tags, Py_UCS4 element, Py_UCS4 component, Py_ssize_t number,
        PyObject *offset, PyObject **made)
{
    int result = -1;
    PyObject *tag = NULL, *split = NULL, *count = NULL;
    Py_ssize_t length = PyUnicode_GET_LENGTH(text), end = 0;
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    while (end < length && PyUnicode_READ(kind, data, end) != element) {
        end++;
    }
    tag = PyUnicode_Substring(text, 0, end);
    if (tag == NULL) {
        goto done;
    }
    result = PySet_Contains(tags, tag);
    if (result <= 0) {
        goto done;
    }
    result = -1;
    split = elements(text, end, element, component);
    count = PyLong_FromSsize_t(number);
    if (split == NULL || count == NULL) {
        goto done;
    }
    PyObject *arguments[] = {tag, split, count, offset};
    *made = PyObject_Vectorcall(type, arguments, 4, NULL);
    result = *made == NULL ? -1 : 1;
done:
    Py_XDECREF(tag);
    Py_XDECREF(split);
    Py_XDECREF(count);
    return result;
}

static PyObject *
cut(PyObject *module, PyObject *args)
{
    PyObject *type, *texts, *offsets, *tags;
    Py_ssize_t index, number, most;
    int element, component;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!O!nCCO!nn", &type, &PyList_Type, &texts, &PyList_Type, &offsets, &index,
                          &element, &component, &PySet_Type, &tags, &number, &most)) {
        return NULL;
    }
    if (index < 0 || most < 0 || number < 0 || number > PY_SSIZE_T_MAX - most) {
        PyErr_SetString(PyExc_ValueError, "index, number and most cannot be negative, nor their sum too large");
        return NULL;
    }
    PyObject *made = PyList_New(0);
    if (made == NULL) {
        return NULL;
    }
    /* Lengths are looked at each time round: making a segment runs code that could shorten the lists. */
    for (; index < PyList_GET_SIZE(texts) && PyList_GET_SIZE(made) < most; index++) {
        PyObject *text = PyList_GET_ITEM(texts, index), *one = NULL;
        PyObject *offset = PyList_GetItem(offsets, index);
        if (offset == NULL) {
            goto failed;
        }
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "texts[%zd] is %.99s, not str", index, Py_TYPE(text)->tp_name);
            goto failed;
        }
        Py_INCREF(text);
        Py_INCREF(offset);
        int found = segment(type, text, tags, element, component, ++number, offset, &one);
        Py_DECREF(text);
        Py_DECREF(offset);
        if (found == 0) {
            break;
        }
        if (found < 0 || PyList_Append(made, one) < 0) {
            Py_XDECREF(one);
            goto failed;
        }
        Py_DECREF(one);
    }
    return made;
failed:
    Py_DECREF(made);
    return NULL;
}

static PyMethodDef methods[] = {
    {"cut", cut, METH_VARARGS, "cut(type, texts, offsets, index, element, component, tags, number, most)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "gateway.syntax._plain", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC
PyInit__plain(void)
{
    return PyModuleDef_Init(&module);
}
