/* The table out of tuples, as gateway/mapping/groups.py makes them: every number is looked at here, and no more after.

   Functions give -1 or NULL with an exception. */

#include "_groups.h"

#include <stdarg.h>
#include <string.h>

#define BLOCK 16384
#define MOST_PLACES 9999 /* elements of a segment, components of an element: far more than any has */

void *
taken(Block **blocks, size_t size)
{
    size = (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    Block *block = *blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        block = PyMem_Malloc(sizeof(Block) + room);
        if (block == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        *block = (Block){*blocks, 0, room};
        *blocks = block;
    }
    void *made = (char *)(block + 1) + block->used;
    block->used += size;
    return memset(made, 0, size);
}

void
given_back(Block *block)
{
    while (block != NULL) {
        Block *next = block->next;
        PyMem_Free(block);
        block = next;
    }
}

int
is_among(Py_ssize_t number, const Slots *slots)
{
    for (Py_ssize_t at = 0; at < slots->count; at++) {
        if (slots->at[at] == number) {
            return 1;
        }
    }
    return 0;
}

/* As PyArg_ParseTuple, which takes what is no tuple for a mistake of ours. */
static int
parsed(PyObject *given, const char *format, ...)
{
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a tuple is wanted");
        return 0;
    }
    va_list into;
    va_start(into, format);
    int done = PyArg_VaParse(given, format, into);
    va_end(into);
    return done;
}

static int
slots_taken(Table *table, PyObject *given, Slots *slots, Py_ssize_t most)
{
    slots->count = PyTuple_GET_SIZE(given);
    slots->at = taken(&table->blocks, slots->count * sizeof(Py_ssize_t) + 1);
    for (Py_ssize_t at = 0; slots->at != NULL && at < slots->count; at++) {
        slots->at[at] = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, at));
        if (PyErr_Occurred()) {
            return -1;
        }
        if (slots->at[at] < 0 || slots->at[at] >= most) {
            PyErr_SetString(PyExc_ValueError, "there is no such slot");
            return -1;
        }
    }
    return slots->at == NULL ? -1 : 0;
}

/* A chain from a shape; *end is the shape that it leads to. */
static int
chain_taken(Table *table, PyObject *given, Slots *chain, const Shape *shape, const Shape **end)
{
    if (slots_taken(table, given, chain, PY_SSIZE_T_MAX) < 0) {
        return -1;
    }
    for (Py_ssize_t step = 0; step < chain->count; step++) {
        if (chain->at[step] >= shape->kids) {
            PyErr_SetString(PyExc_ValueError, "there is no such class");
            return -1;
        }
        shape = shape->kid[chain->at[step]];
    }
    *end = shape;
    return 0;
}

static int
slot_checked(Py_ssize_t slot, const Shape *shape)
{
    if (slot < 0 || slot >= shape->values) {
        PyErr_SetString(PyExc_ValueError, "there is no such value");
        return -1;
    }
    return 0;
}

/* Where an element or a component stands. */
static int
place_checked(Py_ssize_t place)
{
    if (place < 0 || place > MOST_PLACES) {
        PyErr_SetString(PyExc_ValueError, "there is no such place");
        return -1;
    }
    return 0;
}

static int
way_taken(Table *table, PyObject *given, Way *way, const Shape *shape, const Shape **end)
{
    PyObject *chain, *number;
    if (!parsed(given, "O!pOn", &PyTuple_Type, &chain, &way->repeat, &number, &way->number_slot)
        || chain_taken(table, chain, &way->chain, shape, end) < 0) {
        return -1;
    }
    way->number = number == Py_None ? NULL : number;
    return way->number == NULL ? 0 : slot_checked(way->number_slot, *end);
}

static int
checks_taken(Table *table, PyObject *given, Checks *checks)
{
    checks->count = PyTuple_GET_SIZE(given);
    checks->at = taken(&table->blocks, checks->count * sizeof(Check) + 1);
    for (Py_ssize_t at = 0; checks->at != NULL && at < checks->count; at++) {
        Check *check = &checks->at[at];
        if (!parsed(PyTuple_GET_ITEM(given, at), "nnO", &check->element, &check->component, &check->values)) {
            return -1;
        }
        if (place_checked(check->element) < 0 || place_checked(check->component) < 0) {
            return -1;
        }
        if (check->values != Py_None && !PyFrozenSet_CheckExact(check->values)) {
            PyErr_SetString(PyExc_TypeError, "values are a frozenset");
            return -1;
        }
    }
    return checks->at == NULL ? -1 : 0;
}

static Field *
field_taken(Table *table, PyObject *given, const Shape *shape)
{
    PyObject *chain, *attributes;
    Field *field = taken(&table->blocks, sizeof(Field));
    if (field == NULL
        || !parsed(given, "UiO!nnnnnO!O!O!", &field->name, &field->conversion, &PyTuple_Type, &chain,
                   &field->slot, &field->element, &field->component, &field->span, &field->room,
                   &PyTuple_Type, &attributes, &PyDict_Type, &field->codes, &PyFrozenSet_Type,
                   &field->derived)
        || chain_taken(table, chain, &field->chain, shape, &shape) < 0) {
        return NULL;
    }
    if (field->conversion < TEXT || field->conversion > DERIVE) {
        PyErr_SetString(PyExc_ValueError, "there is no such conversion");
        return NULL;
    }
    if (field->conversion != DERIVE && field->conversion != POINTER && slot_checked(field->slot, shape) < 0) {
        return NULL;
    }
    if (place_checked(field->element) < 0 || place_checked(field->component) < 0 || place_checked(field->span) < 0) {
        return NULL;
    }
    field->attributes = PyTuple_GET_SIZE(attributes);
    field->attribute = taken(&table->blocks, field->attributes * sizeof(Attribute) + 1);
    for (Py_ssize_t at = 0; field->attribute != NULL && at < field->attributes; at++) {
        Attribute *attribute = &field->attribute[at];
        if (!parsed(PyTuple_GET_ITEM(attributes, at), "Unn", &attribute->name, &attribute->element,
                    &attribute->component)
            || place_checked(attribute->element) < 0 || place_checked(attribute->component) < 0) {
            return NULL;
        }
    }
    return field->attribute == NULL ? NULL : field;
}

/* A row of cells: a field, True where the component is known and gives nothing, or None. */
static int
cells_taken(Table *table, PyObject *given, Cells *cells, const Shape *shape)
{
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a row is a tuple");
        return -1;
    }
    cells->count = PyTuple_GET_SIZE(given);
    cells->at = taken(&table->blocks, cells->count * sizeof(Cell) + 1);
    for (Py_ssize_t at = 0; cells->at != NULL && at < cells->count; at++) {
        PyObject *cell = PyTuple_GET_ITEM(given, at);
        cells->at[at].known = cell != Py_None;
        if (PyTuple_Check(cell)) {
            Field *field = cells->at[at].field = field_taken(table, cell, shape);
            if (field == NULL) {
                return -1;
            }
            if (field->conversion >= LINES) {
                PyErr_SetString(PyExc_ValueError, "of one component there are no lines");
                return -1;
            }
        }
    }
    return cells->at == NULL ? -1 : 0;
}

static Rule *
rule_taken(Table *table, PyObject *given, const Shape *shape)
{
    PyObject *checks, *way, *places, *rows, *wide, *inner;
    Rule *rule = taken(&table->blocks, sizeof(Rule));
    if (rule == NULL
        || !parsed(given, "O!O!O!O!O!O!", &PyTuple_Type, &checks, &PyTuple_Type, &way, &PyTuple_Type,
                   &places, &PyTuple_Type, &rows, &PyTuple_Type, &wide, &PyTuple_Type, &inner)
        || checks_taken(table, checks, &rule->checks) < 0
        || way_taken(table, way, &rule->way, shape, &shape) < 0
        || slots_taken(table, places, &rule->places, PY_SSIZE_T_MAX) < 0) {
        return NULL;
    }
    rule->rows = PyTuple_GET_SIZE(rows);
    rule->wides = PyTuple_GET_SIZE(wide);
    rule->inners = PyTuple_GET_SIZE(inner);
    rule->row = taken(&table->blocks, rule->rows * sizeof(Cells) + 1);
    rule->wide = taken(&table->blocks, rule->wides * sizeof(Field *) + 1);
    rule->inner = taken(&table->blocks, rule->inners * sizeof(Rule *) + 1);
    if (rule->row == NULL || rule->wide == NULL || rule->inner == NULL) {
        return NULL;
    }
    for (Py_ssize_t at = 0; at < rule->rows; at++) {
        if (cells_taken(table, PyTuple_GET_ITEM(rows, at), &rule->row[at], shape) < 0) {
            return NULL;
        }
    }
    for (Py_ssize_t at = 0; at < rule->wides; at++) {
        if ((rule->wide[at] = field_taken(table, PyTuple_GET_ITEM(wide, at), shape)) == NULL) {
            return NULL;
        }
    }
    for (Py_ssize_t at = 0; at < rule->inners; at++) {
        if ((rule->inner[at] = rule_taken(table, PyTuple_GET_ITEM(inner, at), shape)) == NULL) {
            return NULL;
        }
    }
    return rule;
}

static Entry *
entry_taken(Table *table, PyObject *given, const Shape *shape)
{
    PyObject *checks, *way;
    Py_ssize_t plan;
    Entry *entry = taken(&table->blocks, sizeof(Entry));
    if (entry == NULL
        || !parsed(given, "O!O!n", &PyTuple_Type, &checks, &PyTuple_Type, &way, &plan)
        || checks_taken(table, checks, &entry->checks) < 0
        || way_taken(table, way, &entry->way, shape, &shape) < 0) {
        return NULL;
    }
    if (plan < 0 || plan >= table->plans) {
        PyErr_SetString(PyExc_ValueError, "there is no such plan");
        return NULL;
    }
    entry->shape = (Shape *)shape;
    entry->plan = table->plan[plan];
    return entry;
}

/* True where every value of a dictionary is the number of one of so many lists. */
static int
numbers_checked(PyObject *numbers, Py_ssize_t lists)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(numbers, &at, &key, &value)) {
        Py_ssize_t number = PyLong_AsSsize_t(value);
        if (PyErr_Occurred()) {
            return -1;
        }
        if (number < 0 || number >= lists) {
            PyErr_SetString(PyExc_ValueError, "there is no such list");
            return -1;
        }
    }
    return 0;
}

static int
plan_taken(Table *table, PyObject *given, Plan *plan)
{
    PyObject *lists, *groups;
    Py_ssize_t number;
    if (!parsed(given, "nO!O!O!O!O!", &number, &PyDict_Type, &plan->by_tag, &PyDict_Type, &plan->by_first,
                &PyTuple_Type, &lists, &PyDict_Type, &plan->groups, &PyTuple_Type, &groups)) {
        return -1;
    }
    if (number < 0 || number >= table->shapes) {
        PyErr_SetString(PyExc_ValueError, "there is no such class");
        return -1;
    }
    const Shape *shape = table->shape[number];
    plan->lists = PyTuple_GET_SIZE(lists);
    plan->group_lists = PyTuple_GET_SIZE(groups);
    plan->list = taken(&table->blocks, plan->lists * sizeof(Rules) + 1);
    plan->group_list = taken(&table->blocks, plan->group_lists * sizeof(Entries) + 1);
    if (plan->list == NULL || plan->group_list == NULL || numbers_checked(plan->by_tag, plan->lists) < 0
        || numbers_checked(plan->by_first, plan->lists) < 0 || numbers_checked(plan->groups, plan->group_lists) < 0) {
        return -1;
    }
    for (Py_ssize_t at = 0; at < plan->lists; at++) {
        PyObject *rules = PyTuple_GET_ITEM(lists, at);
        Rules *list = &plan->list[at];
        if (!PyTuple_Check(rules)) {
            PyErr_SetString(PyExc_TypeError, "a list of rules is a tuple");
            return -1;
        }
        list->count = PyTuple_GET_SIZE(rules);
        list->at = taken(&table->blocks, list->count * sizeof(Rule *) + 1);
        for (Py_ssize_t rule = 0; list->at != NULL && rule < list->count; rule++) {
            if ((list->at[rule] = rule_taken(table, PyTuple_GET_ITEM(rules, rule), shape)) == NULL) {
                return -1;
            }
        }
        if (list->at == NULL) {
            return -1;
        }
    }
    for (Py_ssize_t at = 0; at < plan->group_lists; at++) {
        PyObject *entries = PyTuple_GET_ITEM(groups, at);
        Entries *list = &plan->group_list[at];
        if (!PyTuple_Check(entries)) {
            PyErr_SetString(PyExc_TypeError, "a list of entries is a tuple");
            return -1;
        }
        list->count = PyTuple_GET_SIZE(entries);
        list->at = taken(&table->blocks, list->count * sizeof(Entry *) + 1);
        for (Py_ssize_t entry = 0; list->at != NULL && entry < list->count; entry++) {
            if ((list->at[entry] = entry_taken(table, PyTuple_GET_ITEM(entries, entry), shape)) == NULL) {
                return -1;
            }
        }
        if (list->at == NULL) {
            return -1;
        }
    }
    return 0;
}

/* Every slot, each once, in some order. */
static int
order_taken(Table *table, PyObject *given, Slots *order)
{
    if (slots_taken(table, given, order, PyTuple_GET_SIZE(given)) < 0) {
        return -1;
    }
    for (Py_ssize_t at = 0; at < order->count; at++) {
        const Slots before = {at, order->at};
        if (is_among(order->at[at], &before)) {
            PyErr_SetString(PyExc_ValueError, "a slot comes twice");
            return -1;
        }
    }
    return 0;
}

/* A shape: its kids are others of the table. */
static int
shape_taken(Table *table, PyObject *given, Shape *shape)
{
    PyObject *value_order, *kid_order, *kids;
    Slots numbers;
    if (!parsed(given, "UO!O!O!", &shape->name, &PyTuple_Type, &value_order, &PyTuple_Type, &kid_order,
                &PyTuple_Type, &kids)) {
        return -1;
    }
    shape->values = PyTuple_GET_SIZE(value_order);
    shape->kids = PyTuple_GET_SIZE(kids);
    if (shape->kids != PyTuple_GET_SIZE(kid_order)) {
        PyErr_SetString(PyExc_ValueError, "classes without an order");
        return -1;
    }
    if (order_taken(table, value_order, &shape->value_order) < 0
        || order_taken(table, kid_order, &shape->kid_order) < 0
        || slots_taken(table, kids, &numbers, table->shapes) < 0
        || (shape->kid = taken(&table->blocks, shape->kids * sizeof(Shape *) + 1)) == NULL) {
        return -1;
    }
    for (Py_ssize_t at = 0; at < shape->kids; at++) {
        shape->kid[at] = table->shape[numbers.at[at]];
    }
    return 0;
}

static int
table_taken(Table *table, PyObject *shapes, PyObject *plans)
{
    table->shapes = PyTuple_GET_SIZE(shapes);
    table->plans = PyTuple_GET_SIZE(plans);
    table->shape = taken(&table->blocks, table->shapes * sizeof(Shape *) + 1);
    table->plan = taken(&table->blocks, table->plans * sizeof(Plan *) + 1);
    if (table->shape == NULL || table->plan == NULL) {
        return -1;
    }
    for (Py_ssize_t at = 0; at < table->shapes; at++) {
        if ((table->shape[at] = taken(&table->blocks, sizeof(Shape))) == NULL) {
            return -1;
        }
    }
    for (Py_ssize_t at = 0; at < table->plans; at++) {
        if ((table->plan[at] = taken(&table->blocks, sizeof(Plan))) == NULL) {
            return -1;
        }
    }
    for (Py_ssize_t at = 0; at < table->shapes; at++) {
        if (shape_taken(table, PyTuple_GET_ITEM(shapes, at), table->shape[at]) < 0) {
            return -1;
        }
    }
    for (Py_ssize_t at = 0; at < table->plans; at++) {
        if (plan_taken(table, PyTuple_GET_ITEM(plans, at), table->plan[at]) < 0) {
            return -1;
        }
    }
    return 0;
}

static void
forget(Table *table)
{
    given_back(table->blocks);
    Py_XDECREF(table->held);
    PyMem_Free(table);
}

static void
destroyed(PyObject *capsule)
{
    forget(PyCapsule_GetPointer(capsule, CAPSULE));
}

PyObject *
table_of(PyObject *module, PyObject *args)
{
    PyObject *shapes, *plans, *words;
    if (!PyArg_ParseTuple(args, "O!O!O!", &PyTuple_Type, &shapes, &PyTuple_Type, &plans, &PyTuple_Type, &words)) {
        return NULL;
    }
    Table *made = PyMem_Calloc(1, sizeof(Table));
    if (made == NULL) {
        return PyErr_NoMemory();
    }
    made->held = Py_NewRef(args);
    PyObject *capsule = NULL;
    if (parsed(words, "OOOOO!OOO", &made->segment, &made->group, &made->value, &made->entity,
               &PyFrozenSet_Type, &made->service, &made->decimal_read, &made->date_read, &made->join)
        && table_taken(made, shapes, plans) == 0) {
        capsule = PyCapsule_New(made, CAPSULE, destroyed);
    }
    if (capsule == NULL) {
        forget(made);
    }
    return capsule;
}
