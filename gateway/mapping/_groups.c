/* Groups of which nothing has to be told: what gateway/mapping/reader.py says of them, compiled.

   One pass over a group's segments fills the class that it stands for and all below it.  Whatever wants a word (a
   segment or component that the table does not know, a code that is not listed, two texts for one place, a repetition)
   ends the pass, and Python reads the group instead.  Nothing of a group is kept or changed.  A table and what one
   pass fills are each taken from blocks that are given back together. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdarg.h>
#include <string.h>

#define CAPSULE "gateway.mapping._groups.table"
#define BLOCK 16384

/* What a step came to: PLAIN, or the pass ends with NotImplemented (ODD) or with an exception (FAILED). */
typedef enum { PLAIN, ODD, FAILED } Outcome;

/* As plan.Conversion. */
typedef enum { TEXT, DECIMAL, DATE, CODE, LINES, PARAGRAPH, SEQUENCE, POINTER, DERIVE } Conversion;

typedef struct Block {
    struct Block *next;
    size_t used, size;
} Block;

/* Memory out of a list of blocks, zeroed. */
static void *
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

static void
given_back(Block *block)
{
    while (block != NULL) {
        Block *next = block->next;
        PyMem_Free(block);
        block = next;
    }
}

/* The table.  Objects are those of the tuples that it was made of, which it holds. */

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

/* What a pass fills. */

struct Target;

typedef struct {
    struct Target *first, *last, *untaken;
    Py_ssize_t count;
} Kids;

typedef struct Target {
    const Shape *shape;
    struct Target *sibling, *made_before;
    Py_ssize_t ordinal;
    PyObject **value;
    Py_ssize_t *tail; /* of a paragraph: how long its last line is */
    Kids *kids;
} Target;

typedef struct {
    const Table *table;
    Block *blocks;
    Target *last;
} Pass;

static PyObject *s_tag, *s_elements, *s_repeats, *s_name, *s_children, *s_text, *s_zoned;

static Target *
target_of(Pass *pass, const Shape *shape, Py_ssize_t ordinal)
{
    Target *made = taken(&pass->blocks, sizeof(Target));
    if (made == NULL || (made->value = taken(&pass->blocks, shape->values * sizeof(PyObject *) + 1)) == NULL
        || (made->tail = taken(&pass->blocks, shape->values * sizeof(Py_ssize_t) + 1)) == NULL
        || (made->kids = taken(&pass->blocks, shape->kids * sizeof(Kids) + 1)) == NULL) {
        return NULL;
    }
    made->shape = shape;
    made->ordinal = ordinal;
    made->made_before = pass->last;
    return pass->last = made;
}

static Target *
added(Pass *pass, const Target *target, Py_ssize_t slot)
{
    Kids *kids = &target->kids[slot];
    Target *made = target_of(pass, target->shape->kid[slot], kids->count + 1);
    if (made != NULL) {
        kids->count++;
        *(kids->last == NULL ? &kids->first : &kids->last->sibling) = made;
        kids->last = made;
    }
    return made;
}

/* The first occurrence of a class. */
static Target *
first_of(Pass *pass, const Target *target, Py_ssize_t slot)
{
    Kids *kids = &target->kids[slot];
    if (kids->first == NULL) {
        kids->untaken = added(pass, target, slot);
    }
    return kids->first;
}

/* The next occurrence of a class that nothing has taken yet. */
static Target *
next_of(Pass *pass, const Target *target, Py_ssize_t slot)
{
    Kids *kids = &target->kids[slot];
    Target *found = kids->untaken;
    if (found == NULL) {
        return added(pass, target, slot);
    }
    kids->untaken = found->sibling;
    return found;
}

static Outcome
numbered(Target *target, const Table *table, const Way *way)
{
    PyObject *text = PyUnicode_FromFormat("%zd", target->ordinal), *value = NULL;
    if (text != NULL) {
        PyObject *given[] = {way->number, text};
        value = PyObject_Vectorcall(table->value, given, 2, NULL);
        Py_DECREF(text);
    }
    if (value == NULL) {
        return FAILED;
    }
    Py_XSETREF(target->value[way->number_slot], value);
    return PLAIN;
}

/* What a rule or a group is read into; NULL with an exception. */
static Target *
reached(Pass *pass, Target *target, const Way *way)
{
    Py_ssize_t last = way->chain.count - 1;
    for (Py_ssize_t step = 0; target != NULL && step <= last; step++) {
        Py_ssize_t slot = way->chain.at[step];
        target = step == last && way->repeat ? next_of(pass, target, slot) : first_of(pass, target, slot);
    }
    if (target != NULL && last >= 0 && way->repeat && way->number != NULL
        && numbered(target, pass->table, way) != PLAIN) {
        return NULL;
    }
    return target;
}

/* The components of an element, or NULL where there is none there or it is no tuple. */
static PyObject *
components_at(PyObject *elements, Py_ssize_t at)
{
    if (at < 0 || at >= PyTuple_GET_SIZE(elements)) {
        return NULL;
    }
    PyObject *components = PyTuple_GET_ITEM(elements, at);
    return PyTuple_Check(components) ? components : NULL;
}

/* A component's text, borrowed; NULL where it is empty or not there. */
static PyObject *
text_at(PyObject *components, Py_ssize_t spot)
{
    if (components == NULL || spot < 0 || spot >= PyTuple_GET_SIZE(components)) {
        return NULL;
    }
    PyObject *text = PyTuple_GET_ITEM(components, spot);
    return PyUnicode_Check(text) && PyUnicode_GET_LENGTH(text) > 0 ? text : NULL;
}

static int
has_text(PyObject *components)
{
    for (Py_ssize_t spot = 0; components != NULL && spot < PyTuple_GET_SIZE(components); spot++) {
        if (text_at(components, spot) != NULL) {
            return 1;
        }
    }
    return 0;
}

/* 1 where every required value is there, from the element `base` on; -1 with an exception. */
static int
passes(const Checks *checks, PyObject *elements, Py_ssize_t base)
{
    int found = 1;
    for (Py_ssize_t at = 0; found == 1 && at < checks->count; at++) {
        const Check *check = &checks->at[at];
        if (check->values != Py_None) {
            PyObject *text = text_at(components_at(elements, base + check->element), check->component);
            PyObject *asked = text == NULL ? PyUnicode_FromStringAndSize(NULL, 0) : Py_NewRef(text);
            found = asked == NULL ? -1 : PySet_Contains(check->values, asked);
            Py_XDECREF(asked);
        }
    }
    return found;
}

/* The pairs of a field's attributes, as a tuple; NULL where there is none, or with an exception. */
static PyObject *
attributes_of(const Field *field, PyObject *elements, Py_ssize_t base)
{
    PyObject *pairs = NULL;
    for (Py_ssize_t at = 0; at < field->attributes; at++) {
        const Attribute *attribute = &field->attribute[at];
        PyObject *text = text_at(components_at(elements, base + attribute->element), attribute->component);
        if (text == NULL) {
            continue;
        }
        PyObject *pair = PyTuple_Pack(2, attribute->name, text);
        if (pair == NULL || (pairs == NULL ? (pairs = PyTuple_New(0)) == NULL : 0)) {
            Py_XDECREF(pair);
            Py_XDECREF(pairs);
            return NULL;
        }
        Py_ssize_t size = PyTuple_GET_SIZE(pairs);
        if (_PyTuple_Resize(&pairs, size + 1) < 0) {
            Py_DECREF(pair);
            return NULL;
        }
        PyTuple_SET_ITEM(pairs, size, pair);
    }
    return pairs;
}

/* The class that holds a field's value; NULL with an exception. */
static Target *
holder_of(Pass *pass, const Field *field, Target *target)
{
    for (Py_ssize_t step = 0; target != NULL && step < field->chain.count; step++) {
        target = first_of(pass, target, field->chain.at[step]);
    }
    return target;
}

/* Puts a value in its place, where there is none or the same text. */
static Outcome
put(Pass *pass, const Field *field, Target *target, PyObject *text, PyObject *attributes)
{
    target = holder_of(pass, field, target);
    if (target == NULL) {
        return FAILED;
    }
    PyObject *old = target->value[field->slot];
    if (old != NULL && field->conversion != SEQUENCE && field->conversion != PARAGRAPH) {
        PyObject *before = PyObject_GetAttr(old, s_text);
        int same = before == NULL ? -1 : PyObject_RichCompareBool(before, text, Py_EQ);
        Py_XDECREF(before);
        if (same != 1) {
            return same < 0 ? FAILED : ODD;
        }
    }
    PyObject *given[] = {field->name, text, attributes};
    PyObject *value = PyObject_Vectorcall(pass->table->value, given, attributes == NULL ? 2 : 3, NULL);
    if (value == NULL) {
        return FAILED;
    }
    Py_XSETREF(target->value[field->slot], value);
    return PLAIN;
}

/* A date-time whose zone may be written otherwise, as convert.date_read has it. */
static Outcome
date_of(const Table *table, PyObject *text, PyObject *form, PyObject **made)
{
    PyObject *given[] = {text, form}, *read = PyObject_Vectorcall(table->date_read, given, 2, NULL), *date;
    int understood;
    if (read == NULL) {
        return FAILED;
    }
    if (!PyArg_ParseTuple(read, "Up", &date, &understood)) {
        Py_DECREF(read);
        return FAILED;
    }
    *made = Py_NewRef(date);
    Py_DECREF(read);
    return understood ? PLAIN : ODD;
}

/* The text of a field that one component gives, as a reference of its own. */
static Outcome
converted(const Table *table, const Field *field, PyObject *text, PyObject *attributes, PyObject **made)
{
    if (field->conversion == CODE) {
        PyObject *found = PyDict_GetItemWithError(field->codes, text);
        if (found == NULL) {
            return PyErr_Occurred() ? FAILED : ODD;
        }
        *made = Py_NewRef(found);
        return PLAIN;
    }
    if (field->conversion == DECIMAL
        && PyUnicode_FindChar(text, ',', 0, PyUnicode_GET_LENGTH(text), 1) >= 0) {
        *made = PyObject_CallOneArg(table->decimal_read, text);
        return *made == NULL ? FAILED : PLAIN;
    }
    if (field->conversion == DATE && attributes != NULL) {
        PyObject *form = PyTuple_GET_ITEM(PyTuple_GET_ITEM(attributes, 0), 1);
        int zoned = PyUnicode_Compare(form, s_zoned) == 0;
        if (zoned) {
            return date_of(table, text, form, made);
        }
    }
    *made = Py_NewRef(text);
    return PLAIN;
}

/* Sets what one component gives. */
static Outcome
value_read(Pass *pass, const Field *field, PyObject *elements, Py_ssize_t at, PyObject *text, Target *target)
{
    PyObject *attributes = NULL, *made = NULL;
    if (field->attributes) {
        attributes = attributes_of(field, elements, at - field->element);
        if (attributes == NULL && PyErr_Occurred()) {
            return FAILED;
        }
    }
    Outcome outcome = converted(pass->table, field, text, attributes, &made);
    if (outcome == PLAIN) {
        outcome = put(pass, field, target, made, attributes);
    }
    Py_XDECREF(made);
    Py_XDECREF(attributes);
    return outcome;
}

/* The field's own components: how many hold a text, and the last that does. */
static Py_ssize_t
lines_of(const Field *field, PyObject *components, PyObject **last)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t spot = field->component; spot < field->component + field->span; spot++) {
        PyObject *text = text_at(components, spot);
        if (text != NULL) {
            *last = text;
            count++;
        }
    }
    return count;
}

/* The lines of a field as one text, a reference of its own; NULL with an exception. */
static PyObject *
joined(const Table *table, const Field *field, PyObject *components)
{
    PyObject *lines = PyTuple_GetSlice(components, field->component, field->component + field->span);
    PyObject *room = PyLong_FromSsize_t(field->room), *text = NULL;
    if (lines != NULL && room != NULL) {
        PyObject *given[] = {lines, room};
        text = PyObject_Vectorcall(table->join, given, 2, NULL);
    }
    Py_XDECREF(lines);
    Py_XDECREF(room);
    return text;
}

/* The paragraph so far and these lines (taken over), as if they were one segment's. */
static PyObject *
paragraph(Pass *pass, const Field *field, Target *target, PyObject *lines, PyObject *last)
{
    target = holder_of(pass, field, target);
    if (target == NULL) {
        Py_DECREF(lines);
        return NULL;
    }
    PyObject *old = target->value[field->slot], *text = lines;
    if (old != NULL) {
        PyObject *before = PyObject_GetAttr(old, s_text);
        int full = target->tail[field->slot] >= field->room;
        text = before == NULL ? NULL : PyUnicode_FromFormat(full ? "%U%U" : "%U %U", before, lines);
        Py_XDECREF(before);
        Py_DECREF(lines);
    }
    target->tail[field->slot] = PyUnicode_GET_LENGTH(last);
    return text;
}

/* Sets what several components give together. */
static Outcome
wide_read(Pass *pass, const Field *field, PyObject *elements, Py_ssize_t base, Target *target)
{
    PyObject *components = components_at(elements, base + field->element), *last = NULL, *text, *attributes = NULL;
    if (field->conversion == POINTER) {
        return ODD;
    }
    if (field->conversion == DERIVE) {
        text = text_at(components, field->component);
        int listed = text == NULL ? 1 : PySet_Contains(field->derived, text);
        return listed < 0 ? FAILED : listed ? PLAIN : ODD;
    }
    Py_ssize_t count = lines_of(field, components, &last);
    if (count == 0) {
        return PLAIN;
    }
    text = count == 1 ? Py_NewRef(last) : joined(pass->table, field, components);
    if (text != NULL && field->conversion == PARAGRAPH) {
        text = paragraph(pass, field, target, text, last);
    }
    if (text != NULL && field->attributes) {
        attributes = attributes_of(field, elements, base);
    }
    Outcome outcome = text == NULL || PyErr_Occurred() ? FAILED : put(pass, field, target, text, attributes);
    Py_XDECREF(attributes);
    Py_XDECREF(text);
    return outcome;
}

static Outcome
wides_read(Pass *pass, const Rule *rule, PyObject *elements, Py_ssize_t base, Target *target)
{
    Outcome outcome = PLAIN;
    for (Py_ssize_t at = 0; outcome == PLAIN && at < rule->wides; at++) {
        outcome = wide_read(pass, rule->wide[at], elements, base, target);
    }
    return outcome;
}

/* The components of an element, by a row of cells. */
static Outcome
components_read(Pass *pass, const Cells *row, PyObject *elements, Py_ssize_t at, Target *target)
{
    PyObject *components = PyTuple_GET_ITEM(elements, at);
    Outcome outcome = PLAIN;
    for (Py_ssize_t spot = 0; outcome == PLAIN && spot < PyTuple_GET_SIZE(components); spot++) {
        PyObject *text = text_at(components, spot);
        if (text != NULL) {
            const Cell *cell = row == NULL || spot >= row->count ? NULL : &row->at[spot];
            if (cell == NULL || !cell->known) {
                return ODD;
            }
            if (cell->field != NULL) {
                outcome = value_read(pass, cell->field, elements, at, text, target);
            }
        }
    }
    return outcome;
}

/* A composite that has rules of its own. */
static Outcome
composite_read(Pass *pass, const Rule *rule, PyObject *elements, Py_ssize_t at, Target *target)
{
    const Rule *inner = NULL;
    if (!has_text(PyTuple_GET_ITEM(elements, at))) {
        return PLAIN;
    }
    for (Py_ssize_t number = 0; inner == NULL && number < rule->inners; number++) {
        int found = passes(&rule->inner[number]->checks, elements, at);
        if (found < 0) {
            return FAILED;
        }
        inner = found ? rule->inner[number] : NULL;
    }
    if (inner == NULL) {
        return ODD;
    }
    target = reached(pass, target, &inner->way);
    if (target == NULL) {
        return FAILED;
    }
    Outcome outcome = components_read(pass, inner->rows ? &inner->row[0] : NULL, elements, at, target);
    return outcome == PLAIN ? wides_read(pass, inner, elements, at, target) : outcome;
}

static int
is_among(Py_ssize_t number, const Slots *slots)
{
    for (Py_ssize_t at = 0; at < slots->count; at++) {
        if (slots->at[at] == number) {
            return 1;
        }
    }
    return 0;
}

static Outcome
elements_read(Pass *pass, const Rule *rule, PyObject *elements, Target *target)
{
    target = reached(pass, target, &rule->way);
    Outcome outcome = target == NULL ? FAILED : PLAIN;
    for (Py_ssize_t at = 0; outcome == PLAIN && at < PyTuple_GET_SIZE(elements); at++) {
        if (components_at(elements, at) == NULL) {
            return ODD;
        }
        if (is_among(at, &rule->places)) {
            outcome = composite_read(pass, rule, elements, at, target);
        }
        else {
            outcome = components_read(pass, at < rule->rows ? &rule->row[at] : NULL, elements, at, target);
        }
    }
    return outcome == PLAIN ? wides_read(pass, rule, elements, 0, target) : outcome;
}

/* The number of a list in a dictionary; -1 where there is none, -2 with an exception. */
static Py_ssize_t
number_of(PyObject *numbers, PyObject *key)
{
    PyObject *found = PyDict_GetItemWithError(numbers, key);
    if (found == NULL) {
        return PyErr_Occurred() ? -2 : -1;
    }
    return PyLong_AsSsize_t(found);
}

/* The first of a list's rules that the segment passes; NULL where there is none, or with an exception. */
static const Rule *
rule_among(const Plan *plan, Py_ssize_t list, PyObject *elements)
{
    const Rules *rules = list < 0 ? NULL : &plan->list[list];
    for (Py_ssize_t at = 0; rules != NULL && at < rules->count; at++) {
        int found = passes(&rules->at[at]->checks, elements, 0);
        if (found) {
            return found < 0 ? NULL : rules->at[at];
        }
    }
    return NULL;
}

/* The rule for a segment; NULL where there is none, or with an exception. */
static const Rule *
rule_for(const Plan *plan, PyObject *tag, PyObject *elements)
{
    PyObject *first = components_at(elements, 0);
    if (first != NULL && PyTuple_GET_SIZE(first) > 0) {
        PyObject *key = PyTuple_Pack(2, tag, PyTuple_GET_ITEM(first, 0));
        Py_ssize_t list = key == NULL ? -2 : number_of(plan->by_first, key);
        Py_XDECREF(key);
        const Rule *rule = list == -2 ? NULL : rule_among(plan, list, elements);
        if (rule != NULL || PyErr_Occurred()) {
            return rule;
        }
    }
    Py_ssize_t list = number_of(plan->by_tag, tag);
    return list == -2 ? NULL : rule_among(plan, list, elements);
}

static Outcome
segment_read(Pass *pass, const Plan *plan, PyObject *segment, Target *target)
{
    PyObject *tag = PyObject_GetAttr(segment, s_tag), *elements = PyObject_GetAttr(segment, s_elements);
    PyObject *repeats = PyObject_GetAttr(segment, s_repeats);
    Outcome outcome = FAILED;
    if (tag != NULL && elements != NULL && repeats != NULL) {
        outcome = ODD;
        if (PyTuple_Check(elements) && PyTuple_Check(repeats) && PyTuple_GET_SIZE(repeats) == 0) {
            const Rule *rule = rule_for(plan, tag, elements);
            if (PyErr_Occurred()) {
                outcome = FAILED;
            }
            else if (rule != NULL) {
                outcome = elements_read(pass, rule, elements, target);
            }
            else {
                int service = PySet_Contains(pass->table->service, tag);
                outcome = service < 0 ? FAILED : service ? PLAIN : ODD;
            }
        }
    }
    Py_XDECREF(repeats);
    Py_XDECREF(elements);
    Py_XDECREF(tag);
    return outcome;
}

/* The entry for an occurrence of a group; NULL where there is none, or with an exception. */
static const Entry *
entry_for(const Table *table, const Plan *plan, PyObject *group, PyObject *children)
{
    PyObject *trigger = PyTuple_GET_SIZE(children) == 0 ? NULL : PyTuple_GET_ITEM(children, 0);
    if (trigger == NULL || (PyObject *)Py_TYPE(trigger) != table->segment) {
        return NULL;
    }
    PyObject *name = PyObject_GetAttr(group, s_name), *elements = PyObject_GetAttr(trigger, s_elements);
    const Entry *entry = NULL;
    if (name != NULL && elements != NULL && PyTuple_Check(elements)) {
        Py_ssize_t list = number_of(plan->groups, name);
        const Entries *entries = list < 0 ? NULL : &plan->group_list[list];
        for (Py_ssize_t at = 0; entries != NULL && at < entries->count; at++) {
            int found = passes(&entries->at[at]->checks, elements, 0);
            if (found) {
                entry = found < 0 ? NULL : entries->at[at];
                break;
            }
        }
    }
    Py_XDECREF(elements);
    Py_XDECREF(name);
    return entry;
}

static Outcome
children_read(Pass *pass, const Plan *plan, PyObject *children, Target *target)
{
    const Table *table = pass->table;
    Outcome outcome = PyTuple_Check(children) ? PLAIN : ODD;
    for (Py_ssize_t at = 0; outcome == PLAIN && at < PyTuple_GET_SIZE(children); at++) {
        PyObject *child = PyTuple_GET_ITEM(children, at);
        if ((PyObject *)Py_TYPE(child) == table->segment) {
            outcome = segment_read(pass, plan, child, target);
            continue;
        }
        if ((PyObject *)Py_TYPE(child) != table->group) {
            return ODD;
        }
        PyObject *below = PyObject_GetAttr(child, s_children);
        if (below == NULL) {
            return FAILED;
        }
        const Entry *entry = PyTuple_Check(below) ? entry_for(table, plan, child, below) : NULL;
        if (entry == NULL) {
            outcome = PyErr_Occurred() ? FAILED : ODD;
        }
        else {
            Target *holder = reached(pass, target, &entry->way);
            outcome = holder == NULL ? FAILED : children_read(pass, entry->plan, below, holder);
        }
        Py_DECREF(below);
    }
    return outcome;
}

/* The class as an entity, in WCO order; *made stays NULL where nothing was filled in. */
static Outcome
frozen(const Pass *pass, const Target *target, PyObject **made)
{
    const Shape *shape = target->shape;
    Py_ssize_t values = 0, below = 0;
    for (Py_ssize_t at = 0; at < shape->values; at++) {
        values += target->value[at] != NULL;
    }
    for (Py_ssize_t at = 0; at < shape->kids; at++) {
        below += target->kids[at].count;
    }
    if (values == 0 && below == 0) {
        return PLAIN;
    }
    PyObject *held = PyTuple_New(values), *inner = PyTuple_New(below);
    Outcome outcome = held == NULL || inner == NULL ? FAILED : PLAIN;
    Py_ssize_t entities = 0;
    for (Py_ssize_t at = 0, to = 0; outcome == PLAIN && at < shape->value_order.count; at++) {
        PyObject *value = target->value[shape->value_order.at[at]];
        if (value != NULL) {
            PyTuple_SET_ITEM(held, to++, Py_NewRef(value));
        }
    }
    for (Py_ssize_t at = 0; outcome == PLAIN && at < shape->kid_order.count; at++) {
        const Target *kid = target->kids[shape->kid_order.at[at]].first;
        for (; outcome == PLAIN && kid != NULL; kid = kid->sibling) {
            PyObject *entity = NULL;
            outcome = frozen(pass, kid, &entity);
            if (entity != NULL) {
                PyTuple_SET_ITEM(inner, entities++, entity);
            }
        }
    }
    if (outcome == PLAIN && entities < below && _PyTuple_Resize(&inner, entities) < 0) {
        outcome = FAILED;
    }
    if (outcome == PLAIN && (values || entities)) {
        PyObject *given[] = {shape->name, held, inner};
        *made = PyObject_Vectorcall(pass->table->entity, given, 3, NULL);
        outcome = *made == NULL ? FAILED : PLAIN;
    }
    Py_XDECREF(held);
    Py_XDECREF(inner);
    return outcome;
}

static void
let_go(Pass *pass)
{
    for (Target *target = pass->last; target != NULL; target = target->made_before) {
        for (Py_ssize_t at = 0; at < target->shape->values; at++) {
            Py_XDECREF(target->value[at]);
        }
    }
    given_back(pass->blocks);
}

/* The table out of tuples: see gateway/mapping/groups.py.  All below gives NULL or -1 with an exception. */

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
    if (field->conversion != DERIVE && field->conversion != POINTER && slot_checked(field->slot, shape) < 0) {
        return NULL;
    }
    field->attributes = PyTuple_GET_SIZE(attributes);
    field->attribute = taken(&table->blocks, field->attributes * sizeof(Attribute) + 1);
    for (Py_ssize_t at = 0; field->attribute != NULL && at < field->attributes; at++) {
        Attribute *attribute = &field->attribute[at];
        if (!parsed(PyTuple_GET_ITEM(attributes, at), "Unn", &attribute->name, &attribute->element,
                              &attribute->component)) {
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
        if (PyTuple_Check(cell) && (cells->at[at].field = field_taken(table, cell, shape)) == NULL) {
            return -1;
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

PyDoc_STRVAR(table_doc, "table(shapes, plans, words)\n--\n\nA table for ``read``, of classes and of plans by number.");

static PyObject *
table_(PyObject *module, PyObject *args)
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

PyDoc_STRVAR(read_doc,
             "read(table, plan, list, entry, group, ordinal)\n--\n\n"
             "What a group gives, by an entry of a list of a plan's groups, as the class's occurrence of that number;\n"
             "None where it gives nothing, NotImplemented where it is not plain.");

static PyObject *
read_(PyObject *module, PyObject *args)
{
    PyObject *capsule, *group, *made = NULL;
    Py_ssize_t plan, list, number, ordinal;
    if (!PyArg_ParseTuple(args, "OnnnOn", &capsule, &plan, &list, &number, &group, &ordinal)) {
        return NULL;
    }
    const Table *table = PyCapsule_GetPointer(capsule, CAPSULE);
    if (table == NULL) {
        return NULL;
    }
    if (plan < 0 || plan >= table->plans || list < 0 || list >= table->plan[plan]->group_lists || number < 0
        || number >= table->plan[plan]->group_list[list].count) {
        PyErr_SetString(PyExc_ValueError, "there is no such entry");
        return NULL;
    }
    if ((PyObject *)Py_TYPE(group) != table->group) {
        PyErr_SetString(PyExc_TypeError, "a group is wanted");
        return NULL;
    }
    const Entry *entry = table->plan[plan]->group_list[list].at[number];
    Pass pass = {table, NULL, NULL};
    PyObject *children = PyObject_GetAttr(group, s_children);
    Target *target = children == NULL ? NULL : target_of(&pass, entry->shape, ordinal);
    Outcome outcome = target == NULL ? FAILED : PLAIN;
    if (outcome == PLAIN && entry->way.number != NULL) {
        outcome = numbered(target, table, &entry->way);
    }
    if (outcome == PLAIN) {
        outcome = children_read(&pass, entry->plan, children, target);
    }
    if (outcome == PLAIN) {
        outcome = frozen(&pass, target, &made);
    }
    let_go(&pass);
    Py_XDECREF(children);
    if (outcome == FAILED) {
        return NULL;
    }
    return outcome == ODD ? Py_NewRef(Py_NotImplemented) : made == NULL ? Py_NewRef(Py_None) : made;
}

static PyMethodDef methods[] = {
    {"table", table_, METH_VARARGS, table_doc},
    {"read", read_, METH_VARARGS, read_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "gateway.mapping._groups", "Groups that need no word.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__groups(void)
{
    if ((s_tag = PyUnicode_InternFromString("tag")) == NULL
        || (s_elements = PyUnicode_InternFromString("elements")) == NULL
        || (s_repeats = PyUnicode_InternFromString("repeats")) == NULL
        || (s_name = PyUnicode_InternFromString("name")) == NULL
        || (s_children = PyUnicode_InternFromString("children")) == NULL
        || (s_text = PyUnicode_InternFromString("text")) == NULL
        || (s_zoned = PyUnicode_InternFromString("304")) == NULL) {
        return NULL;
    }
    return PyModule_Create(&definition);
}
