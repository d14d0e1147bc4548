/* Documents that need no word: what gateway/mapping/tree_walk.py says of them, compiled.

   One pass over a tree that lxml has parsed, through lxml's public C interface.  Whatever is not plain (an
   element that the table does not know or that stands out of its order, a stray text, an unknown attribute, a
   comment, text in pieces) ends the pass with None, and Python reads the document instead.  Nothing of the tree
   is kept or changed. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <libxml/tree.h>
#include <libxml/xmlversion.h>
#include <string.h>

#include "etree_api.h"

#define CAPSULE "gateway.mapping._plain.table"
#define HINTS "http://www.w3.org/2001/XMLSchema-instance"
/* Levels of a document: as many as libxml2 itself takes. */
#define DEEPEST 256
#define LEAF (-1)

/* An element of a class, in the order of the class.  `child`: the element inside it that holds the text, or NULL.
   `node`: the class that it is, or LEAF. */
typedef struct {
    char *space, *local;
    char *child_space, *child;
    PyObject *name;
    PyObject *attributes;
    Py_ssize_t node;
} Row;

typedef struct {
    Row *rows;
    Py_ssize_t count;
} Node;

typedef struct {
    Node *nodes;
    Py_ssize_t count;
    PyObject *value, *entity;
} Table;

/* What a step came to: PLAIN, or the pass ends with None (ODD) or with an exception (FAILED). */
typedef enum { PLAIN, ODD, FAILED } Outcome;

static Outcome entity_of(const Table *, xmlNode *, Py_ssize_t, PyObject *, int, PyObject **);

static int
is_called(const xmlNode *element, const char *space, const char *local)
{
    const char *href = element->ns == NULL || element->ns->href == NULL ? "" : (const char *)element->ns->href;
    return strcmp((const char *)element->name, local) == 0 && strcmp(href, space) == 0;
}

static int
is_blank(const xmlNode *text)
{
    const char *at = (const char *)text->content;
    return at == NULL || at[strspn(at, " \t\r\n")] == '\0';
}

static int
is_text(const xmlNode *node)
{
    return node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE;
}

/* The text of an element or attribute whose first and only child is `only`, or that has none. */
static Outcome
text_of(const xmlNode *only, PyObject **text)
{
    if (only == NULL || (is_text(only) && only->content == NULL && only->next == NULL)) {
        *text = PyUnicode_New(0, 0);
    }
    else if (only->next != NULL || !is_text(only)) {
        return ODD;
    }
    else {
        *text = PyUnicode_FromString((const char *)only->content);
    }
    return *text == NULL ? FAILED : PLAIN;
}

/* Adds the pair of an attribute, where the row knows it. */
static Outcome
attribute_of(const Row *row, const xmlAttr *attribute, PyObject *pairs)
{
    if (attribute->ns != NULL) {
        return ODD;
    }
    PyObject *name = PyUnicode_FromString((const char *)attribute->name), *text = NULL, *pair = NULL;
    int known = name == NULL ? -1 : PySequence_Contains(row->attributes, name);
    Outcome outcome = known < 0 ? FAILED : known ? text_of(attribute->children, &text) : ODD;
    if (outcome == PLAIN) {
        pair = PyTuple_Pack(2, name, text);
        outcome = pair == NULL || PyList_Append(pairs, pair) < 0 ? FAILED : PLAIN;
    }
    Py_XDECREF(pair);
    Py_XDECREF(text);
    Py_XDECREF(name);
    return outcome;
}

/* The attributes of an element as sorted pairs. */
static Outcome
attributes_of(const Row *row, const xmlNode *element, PyObject **pairs)
{
    PyObject *list = PyList_New(0);
    Outcome outcome = list == NULL ? FAILED : PLAIN;
    for (const xmlAttr *at = element->properties; outcome == PLAIN && at != NULL; at = at->next) {
        outcome = attribute_of(row, at, list);
    }
    if (outcome == PLAIN && PyList_GET_SIZE(list) > 1 && PyList_Sort(list) < 0) {
        outcome = FAILED;
    }
    if (outcome == PLAIN) {
        *pairs = PyList_AsTuple(list);
        outcome = *pairs == NULL ? FAILED : PLAIN;
    }
    Py_XDECREF(list);
    return outcome;
}

/* The one element inside another that holds its text; NULL where there is more, or none. */
static xmlNode *
within(const Row *row, const xmlNode *element)
{
    xmlNode *found = NULL;
    if (element->properties != NULL) {
        return NULL;
    }
    for (xmlNode *at = element->children; at != NULL; at = at->next) {
        if (at->type == XML_ELEMENT_NODE && found == NULL && is_called(at, row->child_space, row->child)) {
            found = at;
        }
        else if (!is_text(at)) {
            return NULL;
        }
    }
    return found;
}

static Outcome
value_of(const Table *table, const Row *row, xmlNode *element, PyObject **made)
{
    PyObject *text = NULL, *pairs = NULL;
    if (row->child != NULL && (element = within(row, element)) == NULL) {
        return ODD;
    }
    Outcome outcome = text_of(element->children, &text);
    if (outcome == PLAIN && element->properties != NULL) {
        outcome = attributes_of(row, element, &pairs);
    }
    if (outcome == PLAIN) {
        PyObject *given[] = {row->name, text, pairs};
        *made = PyObject_Vectorcall(table->value, given, pairs == NULL ? 2 : 3, NULL);
        outcome = *made == NULL ? FAILED : PLAIN;
    }
    Py_XDECREF(pairs);
    Py_XDECREF(text);
    return outcome;
}

/* True where an element has no attributes but hints to a validator. */
static int
only_hints(const xmlNode *element)
{
    for (const xmlAttr *at = element->properties; at != NULL; at = at->next) {
        const char *name = (const char *)at->name;
        if (at->ns == NULL || at->ns->href == NULL || strcmp((const char *)at->ns->href, HINTS) != 0
            || (strcmp(name, "schemaLocation") != 0 && strcmp(name, "noNamespaceSchemaLocation") != 0)) {
            return 0;
        }
    }
    return 1;
}

/* A tuple of the first `count` of what was made; takes them over. */
static PyObject *
tuple_of(PyObject **made, Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t index = 0; index < count; index++) {
        if (tuple == NULL) {
            Py_DECREF(made[index]);
        }
        else {
            PyTuple_SET_ITEM(tuple, index, made[index]);
        }
    }
    return tuple;
}

/* What is in an element that is a class: `values` from the front of `made`, entities from its end (`room`). */
static Outcome
content_of(const Table *table, xmlNode *element, const Node *node, int depth, PyObject **made, Py_ssize_t room,
           Py_ssize_t *values, Py_ssize_t *entities)
{
    Py_ssize_t rank = 0;
    for (xmlNode *at = element->children; at != NULL; at = at->next) {
        Outcome outcome;
        if (is_text(at)) {
            if (!is_blank(at)) {
                return ODD;
            }
            continue;
        }
        if (at->type != XML_ELEMENT_NODE) {
            return ODD;
        }
        while (rank < node->count && !is_called(at, node->rows[rank].space, node->rows[rank].local)) {
            rank++;
        }
        if (rank == node->count) {
            return ODD;
        }
        const Row *row = &node->rows[rank];
        if (row->node == LEAF) {
            outcome = value_of(table, row, at, &made[*values]);
            *values += outcome == PLAIN;
        }
        else {
            outcome = entity_of(table, at, row->node, row->name, depth + 1, &made[room - 1 - *entities]);
            *entities += outcome == PLAIN;
        }
        if (outcome != PLAIN) {
            return outcome;
        }
    }
    return PLAIN;
}

static Outcome
entity_of(const Table *table, xmlNode *element, Py_ssize_t index, PyObject *name, int depth, PyObject **made)
{
    Py_ssize_t room = 0, values = 0, entities = 0;
    for (const xmlNode *at = element->children; at != NULL; at = at->next) {
        room += at->type == XML_ELEMENT_NODE;
    }
    if (depth > DEEPEST || !only_hints(element)) {
        return ODD;
    }
    PyObject **below = PyMem_New(PyObject *, room + 1);
    if (below == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    Outcome outcome =
        content_of(table, element, &table->nodes[index], depth, below, room, &values, &entities);
    /* Entities were put down from the end: turn them round. */
    for (Py_ssize_t first = room - entities, last = room - 1; first < last; first++, last--) {
        PyObject *other = below[first];
        below[first] = below[last];
        below[last] = other;
    }
    PyObject *held = tuple_of(below, values), *inner = tuple_of(below + room - entities, entities);
    PyMem_Free(below);
    if (outcome == PLAIN && (held == NULL || inner == NULL)) {
        outcome = FAILED;
    }
    if (outcome == PLAIN) {
        PyObject *given[] = {name, held, inner};
        *made = PyObject_Vectorcall(table->entity, given, 3, NULL);
        outcome = *made == NULL ? FAILED : PLAIN;
    }
    Py_XDECREF(held);
    Py_XDECREF(inner);
    return outcome;
}

static void
forget(Table *table)
{
    for (Py_ssize_t index = 0; table->nodes != NULL && index < table->count; index++) {
        Node *node = &table->nodes[index];
        for (Py_ssize_t at = 0; node->rows != NULL && at < node->count; at++) {
            Row *row = &node->rows[at];
            PyMem_Free(row->space);
            PyMem_Free(row->local);
            PyMem_Free(row->child_space);
            PyMem_Free(row->child);
            Py_XDECREF(row->name);
            Py_XDECREF(row->attributes);
        }
        PyMem_Free(node->rows);
    }
    PyMem_Free(table->nodes);
    Py_XDECREF(table->value);
    Py_XDECREF(table->entity);
    PyMem_Free(table);
}

static void
destroyed(PyObject *capsule)
{
    forget(PyCapsule_GetPointer(capsule, CAPSULE));
}

static char *
copied(const char *text)
{
    char *copy = PyMem_Malloc(strlen(text) + 1);
    if (copy == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    return strcpy(copy, text);
}

/* One row from (space, local, child's space, child, name, attributes, node). */
static int
take_row(PyObject *given, Row *row, Py_ssize_t nodes)
{
    const char *space, *local, *child_space, *child;
    PyObject *name, *attributes;
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a row is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "ssssUO!n", &space, &local, &child_space, &child, &name, &PyFrozenSet_Type,
                          &attributes, &row->node)) {
        return -1;
    }
    if (row->node < LEAF || row->node >= nodes) {
        PyErr_SetString(PyExc_ValueError, "there is no such class");
        return -1;
    }
    row->name = Py_NewRef(name);
    row->attributes = Py_NewRef(attributes);
    if ((row->space = copied(space)) == NULL || (row->local = copied(local)) == NULL) {
        return -1;
    }
    if (*child != '\0' && ((row->child_space = copied(child_space)) == NULL || (row->child = copied(child)) == NULL)) {
        return -1;
    }
    return 0;
}

static int
take_node(PyObject *rows, Node *node, Py_ssize_t nodes)
{
    if (!PyTuple_Check(rows)) {
        PyErr_SetString(PyExc_TypeError, "a class is a tuple of rows");
        return -1;
    }
    node->count = PyTuple_GET_SIZE(rows);
    node->rows = PyMem_Calloc(node->count + 1, sizeof(Row));
    if (node->rows == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t at = 0; at < node->count; at++) {
        if (take_row(PyTuple_GET_ITEM(rows, at), &node->rows[at], nodes) < 0) {
            return -1;
        }
    }
    return 0;
}

PyDoc_STRVAR(table_doc, "table(nodes, value, entity)\n--\n\nA table for ``read``, of classes of rows.");

static PyObject *
table(PyObject *module, PyObject *args)
{
    PyObject *nodes, *value, *entity;
    if (!PyArg_ParseTuple(args, "O!OO", &PyTuple_Type, &nodes, &value, &entity)) {
        return NULL;
    }
    Table *made = PyMem_Calloc(1, sizeof(Table));
    if (made == NULL) {
        return PyErr_NoMemory();
    }
    made->value = Py_NewRef(value);
    made->entity = Py_NewRef(entity);
    made->count = PyTuple_GET_SIZE(nodes);
    made->nodes = PyMem_Calloc(made->count + 1, sizeof(Node));
    if (made->nodes == NULL) {
        forget(made);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t index = 0; index < made->count; index++) {
        if (take_node(PyTuple_GET_ITEM(nodes, index), &made->nodes[index], made->count) < 0) {
            forget(made);
            return NULL;
        }
    }
    PyObject *capsule = PyCapsule_New(made, CAPSULE, destroyed);
    if (capsule == NULL) {
        forget(made);
    }
    return capsule;
}

PyDoc_STRVAR(read_doc, "read(table, element, index, name)\n--\n\n"
                       "The entity that an element is, by the class of that index; None where it is not plain.");

static PyObject *
read_(PyObject *module, PyObject *args)
{
    PyObject *capsule, *given, *name, *made = NULL;
    Py_ssize_t index;
    if (!PyArg_ParseTuple(args, "OOnU", &capsule, &given, &index, &name)) {
        return NULL;
    }
    const Table *known = PyCapsule_GetPointer(capsule, CAPSULE);
    if (known == NULL) {
        return NULL;
    }
    if (index < 0 || index >= known->count) {
        PyErr_SetString(PyExc_ValueError, "there is no such class");
        return NULL;
    }
    struct LxmlElement *element = rootNodeOrRaise(given);
    if (element == NULL) {
        return NULL;
    }
    Outcome outcome = entity_of(known, element->_c_node, index, name, 0, &made);
    Py_DECREF((PyObject *)element);
    return outcome == PLAIN ? made : outcome == ODD ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef methods[] = {
    {"table", table, METH_VARARGS, table_doc},
    {"read", read_, METH_VARARGS, read_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "gateway.mapping._plain", "Documents that need no word.", 0, methods, NULL, NULL, NULL,
    NULL,
};

/* Raises ImportError where lxml is here with another libxml2 than at installation: its nodes may lie otherwise. */
static int
check_libxml(void)
{
    PyObject *etree = PyImport_ImportModule("lxml.etree");
    PyObject *version = etree == NULL ? NULL : PyObject_GetAttrString(etree, "LIBXML_VERSION");
    int major, minor, patch, same = 0;
    if (version != NULL && PyArg_ParseTuple(version, "iii", &major, &minor, &patch)) {
        same = major * 10000 + minor * 100 + patch == LIBXML_VERSION;
        if (!same) {
            PyErr_SetString(PyExc_ImportError, "lxml is here with another libxml2 than at installation");
        }
    }
    Py_XDECREF(version);
    Py_XDECREF(etree);
    return same ? 0 : -1;
}

PyMODINIT_FUNC
PyInit__plain(void)
{
    if (check_libxml() < 0 || import_lxml__etree() < 0) {
        return NULL;
    }
    return PyModule_Create(&definition);
}
