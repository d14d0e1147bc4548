/* Groups of which nothing has to be told: what gateway/mapping/reader.py says of them, compiled.

   One pass over a group's segments fills the class that it stands for and all below it.  Whatever wants a word (a
   segment or component that the table does not know, a code that is not listed, two texts for one place, a repetition)
   ends the pass, and Python reads the group instead.  Nothing of a group is kept or changed. */

#include "_groups.h"

/* What a step came to: PLAIN, or the pass ends with NotImplemented (ODD) or with an exception (FAILED). */
typedef enum { PLAIN, ODD, FAILED } Outcome;

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
            outcome = FAILED;
            if (holder != NULL && !Py_EnterRecursiveCall(" in a group")) {
                outcome = children_read(pass, entry->plan, below, holder);
                Py_LeaveRecursiveCall();
            }
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

PyDoc_STRVAR(table_doc, "table(shapes, plans, words)\n--\n\nA table for ``read``, of classes and of plans by number.");

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
    {"table", table_of, METH_VARARGS, table_doc},
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
