/* The table by which _groups.c reads groups, and the memory that it and each pass are made of. */

#ifndef GATEWAY_MAPPING_GROUPS_H
#define GATEWAY_MAPPING_GROUPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#pragma GCC visibility push(hidden)

#define CAPSULE "gateway.mapping._groups.table"

/* As plan.Conversion. */
typedef enum { TEXT, DECIMAL, DATE, CODE, LINES, PARAGRAPH, SEQUENCE, POINTER, DERIVE } Conversion;

/* Memory is taken from blocks, and given back with all of them. */
typedef struct Block {
    struct Block *next;
    size_t used, size;
} Block;

/* Objects of a table are those of the tuples that it was made of, which it holds. */

typedef struct {
    Py_ssize_t count;
    Py_ssize_t *at;
} Slots;

typedef struct Shape {
    PyObject *name;
    Py_ssize_t values, kids;
    Slots value_order, kid_order;
    struct Shape **kid;
} Shape;

typedef struct {
    PyObject *name;
    Py_ssize_t element, component;
} Attribute;

typedef struct {
    PyObject *name, *codes, *derived;
    int conversion;
    Slots chain;
    Py_ssize_t slot, element, component, span, room, attributes;
    Attribute *attribute;
} Field;

typedef struct {
    Py_ssize_t element, component;
    PyObject *values;
} Check;

typedef struct {
    Py_ssize_t count;
    Check *at;
} Checks;

/* Of a component: a field, one that is known and gives nothing (`field` NULL), or nothing that is known. */
typedef struct {
    int known;
    Field *field;
} Cell;

typedef struct {
    Py_ssize_t count;
    Cell *at;
} Cells;

/* Where something is read into: a class below, the first or the next; what numbers it, or NULL. */
typedef struct {
    Slots chain;
    int repeat;
    PyObject *number;
    Py_ssize_t number_slot;
} Way;

typedef struct Rule {
    Checks checks;
    Way way;
    Slots places;
    Py_ssize_t rows, wides, inners;
    Cells *row;
    Field **wide;
    struct Rule **inner;
} Rule;

typedef struct {
    Py_ssize_t count;
    Rule **at;
} Rules;

struct Plan;

typedef struct {
    Checks checks;
    Way way;
    Shape *shape; /* of what the group stands for */
    struct Plan *plan;
} Entry;

typedef struct {
    Py_ssize_t count;
    Entry **at;
} Entries;

/* By tag, and by tag and first value: numbers of lists of rules.  By group: numbers of lists of entries. */
typedef struct Plan {
    PyObject *by_tag, *by_first, *groups;
    Py_ssize_t lists, group_lists;
    Rules *list;
    Entries *group_list;
} Plan;

typedef struct {
    Block *blocks;
    PyObject *held;
    Py_ssize_t shapes, plans;
    Shape **shape;
    Plan **plan;
    PyObject *segment, *group, *value, *entity, *service, *decimal_read, *date_read, *join;
} Table;

/* Memory out of a list of blocks, zeroed; NULL with an exception. */
void *taken(Block **, size_t);

void given_back(Block *);

int is_among(Py_ssize_t, const Slots *);

/* table(shapes, plans, words): a capsule; NULL with an exception. */
PyObject *table_of(PyObject *module, PyObject *args);

#pragma GCC visibility pop

#endif
