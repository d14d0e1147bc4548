/* Documents that are, without their last signature, their own canonical form: found by one pass over their octets.

   What it answers is certain only of octets that libxml2 has read without a word: that tags match, names are names and
   text is UTF-8 is not asked again.  At the first thing that canonicalisation could write otherwise (another quote, a
   reference or a blank that it would change, attributes or namespaces out of order or repeated, a comment) it gives
   up.  Nothing is kept, nothing is read beyond the octets, and nothing is called. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SCOPES 32
/* Namespaces in scope: safexml.MAX_NAMESPACES; what has more is left to the library. */

typedef struct {
    const char *at;
    Py_ssize_t size;
} Name;

typedef struct {
    Name prefix, uri;
    Py_ssize_t depth;
    char *held; /* the octets of both, where they outlive the window that they came in */
} Scope;

typedef struct {
    const char *at, *end;
    bool idle; /* some namespace is declared where nothing uses it */
    Py_ssize_t depth; /* of the element whose content is being read; the root's is 1 */
    bool in_windows;
    Py_ssize_t opening, inside; /* where the root's start tag begins and ends, in the first window */
    int count;
    Scope scopes[MAX_SCOPES];
} Scan;

static const unsigned char STOPS_TEXT[256] = {['<'] = 1, ['&'] = 1, ['>'] = 1, ['\r'] = 1};
static const unsigned char STOPS_VALUE[256] = {
    ['"'] = 1, ['<'] = 1, ['&'] = 1, ['\t'] = 1, ['\n'] = 1, ['\r'] = 1};
static const unsigned char STOPS_NAME[256] = {
    [' '] = 1, ['\t'] = 1, ['\n'] = 1, ['\r'] = 1, ['='] = 1, ['>'] = 1, ['/'] = 1, ['<'] = 1, ['"'] = 1, ['\''] = 1};
static const unsigned char STOPS_TAG[256] = {['>'] = 1, ['"'] = 1, ['\''] = 1};

static bool
is(Name name, const char *text, size_t size)
{
    return (size_t)name.size == size && memcmp(name.at, text, size) == 0;
}

static bool
same(Name one, Name other)
{
    return is(one, other.at, (size_t)other.size);
}

static bool
before(Name one, Name other)
{
    Py_ssize_t shorter = one.size < other.size ? one.size : other.size;
    int order = memcmp(one.at, other.at, (size_t)shorter);
    return order < 0 || (order == 0 && one.size < other.size);
}

static bool
begins(Scan *scan, const char *text, size_t size)
{
    return (size_t)(scan->end - scan->at) >= size && memcmp(scan->at, text, size) == 0;
}

static bool
take(Scan *scan, const char *text, size_t size)
{
    if (!begins(scan, text, size)) {
        return false;
    }
    scan->at += size;
    return true;
}
#define TAKE(scan, text) take(scan, text, sizeof(text) - 1)

/* Up to the first octet that stops; whether there is one. */
static bool
pass(Scan *scan, const unsigned char *stops)
{
    while (scan->at < scan->end && !stops[(unsigned char)*scan->at]) {
        scan->at++;
    }
    return scan->at < scan->end;
}

static void
pass_blank(Scan *scan)
{
    while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4) != NULL) {
        scan->at++;
    }
}

/* Text up to the next tag, as canonical XML writes it (2.3, "Text Nodes"). */
static bool
text(Scan *scan)
{
    while (pass(scan, STOPS_TEXT)) {
        if (*scan->at == '<') {
            return true;
        }
        if (!TAKE(scan, "&amp;") && !TAKE(scan, "&lt;") && !TAKE(scan, "&gt;")) {
            return false;
        }
    }
    return false;
}

/* ="value", as canonical XML writes it ("Attribute Nodes"). */
static bool
value(Scan *scan, Name *found)
{
    if (!TAKE(scan, "=\"")) {
        return false;
    }
    found->at = scan->at;
    while (pass(scan, STOPS_VALUE)) {
        if (*scan->at == '"') {
            found->size = scan->at++ - found->at;
            return true;
        }
        if (!TAKE(scan, "&amp;") && !TAKE(scan, "&lt;") && !TAKE(scan, "&quot;")) {
            return false;
        }
    }
    return false;
}

/* A name, its prefix (empty where there is none) and what follows that. */
static bool
name(Scan *scan, Name *prefix, Name *local)
{
    const char *start = scan->at;
    if (!pass(scan, STOPS_NAME) || scan->at == start) {
        return false;
    }
    const char *colon = memchr(start, ':', (size_t)(scan->at - start));
    *prefix = (Name){start, colon == NULL ? 0 : colon - start};
    local->at = colon == NULL ? start : colon + 1;
    local->size = scan->at - local->at;
    return local->size > 0 && (colon == NULL || (prefix->size > 0 && memchr(local->at, ':', (size_t)local->size) == NULL));
}

static bool
is_letter_or_digit(char octet)
{
    return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') || (octet >= '0' && octet <= '9');
}

/* A namespace name that is absolute beyond doubt: canonicalisation refuses relative ones. */
static bool
is_absolute(Name uri)
{
    static const char *const SCHEMES[] = {"urn:", "http://", "https://"};
    for (int n = 0; n < 3; n++) {
        Py_ssize_t size = (Py_ssize_t)strlen(SCHEMES[n]);
        if (uri.size <= size || memcmp(uri.at, SCHEMES[n], (size_t)size) != 0 || !is_letter_or_digit(uri.at[size])) {
            continue;
        }
        for (Py_ssize_t at = size; at < uri.size; at++) {
            char octet = uri.at[at];
            bool ends = n > 0 && octet == '#' && at == uri.size - 1;
            bool apart = octet == '.' || octet == '-' || octet == '_' || octet == (n == 0 ? ':' : '/');
            if (!is_letter_or_digit(octet) && !apart && !ends) {
                return false;
            }
        }
        return true;
    }
    return false;
}

/* A namespace declared on the element that begins; not where its prefix means just that already. */
static bool
declare(Scan *scan, Name prefix, Name uri)
{
    if (scan->count == MAX_SCOPES || !is_absolute(uri) || (prefix.size >= 3 && memcmp(prefix.at, "xml", 3) == 0)) {
        return false;
    }
    for (int n = scan->count - 1; n >= 0; n--) {
        if (same(scan->scopes[n].prefix, prefix)) {
            if (scan->scopes[n].depth == scan->depth || same(scan->scopes[n].uri, uri)) {
                return false;
            }
            break;
        }
    }
    char *held = NULL;
    if (scan->in_windows) {
        held = malloc((size_t)(prefix.size + uri.size));
        if (held == NULL) {
            return false;
        }
        memcpy(held, prefix.at, (size_t)prefix.size);
        memcpy(held + prefix.size, uri.at, (size_t)uri.size);
        prefix.at = held;
        uri.at = held + prefix.size;
    }
    scan->scopes[scan->count++] = (Scope){prefix, uri, scan->depth, held};
    return true;
}

/* What an element declared means nothing behind it. */
static void
forget(Scan *scan, Py_ssize_t depth)
{
    while (scan->count > 0 && scan->scopes[scan->count - 1].depth >= depth) {
        free(scan->scopes[--scan->count].held);
    }
}

/* Whether a prefix was declared; none needs to be. */
static bool
is_known(Scan *scan, Name prefix)
{
    for (int n = 0; n < scan->count; n++) {
        if (same(scan->scopes[n].prefix, prefix)) {
            return true;
        }
    }
    return prefix.size == 0;
}

/* What stands in a start tag behind the element's name: namespaces by prefix, then attributes by name, of which at
   most one has a prefix: it is the last. */
static bool
attributes(Scan *scan, Name element)
{
    int first = scan->count;
    Name last = {NULL, 0}, qualified = {NULL, 0};
    while (TAKE(scan, " ")) {
        Name prefix, local, found;
        if (qualified.at != NULL || !name(scan, &prefix, &local) || !value(scan, &found)) {
            return false;
        }
        bool unnamed = prefix.size == 0 && is(local, "xmlns", 5);
        if (unnamed || is(prefix, "xmlns", 5)) {
            Name declared = unnamed ? prefix : local;
            bool ordered = scan->count == first || before(scan->scopes[scan->count - 1].prefix, declared);
            if (last.at != NULL || !ordered || !declare(scan, declared, found)) {
                return false;
            }
        }
        else if (prefix.size > 0) {
            qualified = last = prefix;
        }
        else if (last.at == NULL || before(last, local)) {
            last = local;
        }
        else {
            return false;
        }
    }
    if (!is_known(scan, element) || (qualified.at != NULL && !is_known(scan, qualified))) {
        return false;
    }
    for (int n = first; n < scan->count; n++) {
        Name declared = scan->scopes[n].prefix;
        scan->idle |= !same(declared, element) && (qualified.at == NULL || !same(declared, qualified));
    }
    return TAKE(scan, ">");
}

/* Behind an element of whatever form, at whose start tag the scan is. */
static bool
skip(Scan *scan)
{
    Py_ssize_t open = 0;
    do {
        scan->at = memchr(scan->at, '<', (size_t)(scan->end - scan->at));
        if (scan->at == NULL || scan->end - scan->at < 3 || scan->at[1] == '!' || scan->at[1] == '?') {
            return false;
        }
        bool closes = scan->at[1] == '/';
        while (pass(scan, STOPS_TAG) && *scan->at != '>') {
            char quote = *scan->at++;
            scan->at = memchr(scan->at, quote, (size_t)(scan->end - scan->at));
            if (scan->at == NULL) {
                return false;
            }
            scan->at++;
        }
        if (scan->at == scan->end) {
            return false;
        }
        bool empty = scan->at[-1] == '/';
        scan->at++;
        open += closes ? -1 : empty ? 0 : 1;
    } while (open > 0 && scan->at < scan->end);
    return open == 0;
}

/* Whether the next tag begins the root's Signature. */
static bool
is_signature(Scan *scan)
{
    const char *tag = scan->at;
    Name prefix, local;
    bool found = scan->depth == 1 && TAKE(scan, "<") && name(scan, &prefix, &local) && is(local, "Signature", 9);
    scan->at = tag;
    return found;
}

/* The next tag; of a start tag in a window that it is no other Signature's: whoever has the document whole asks its
   tree. */
static bool
tag(Scan *scan)
{
    Name prefix, local;
    if (TAKE(scan, "</")) {
        if (!pass(scan, STOPS_NAME) || !TAKE(scan, ">")) {
            return false;
        }
        forget(scan, scan->depth--);
        return true;
    }
    if (!TAKE(scan, "<") || !name(scan, &prefix, &local) || local.at[0] == '!' || local.at[0] == '?') {
        return false;
    }
    if (scan->in_windows && is(local, "Signature", 9)) {
        return false;
    }
    scan->depth++;
    return attributes(scan, prefix);
}

/* All from the root's start tag on; where the Signature, its last child, begins and ends. */
static bool
root(Scan *scan, const char **start, const char **end)
{
    *start = *end = NULL;
    do {
        if (*start == NULL && is_signature(scan)) {
            *start = scan->at;
            if (!skip(scan)) {
                return false;
            }
            *end = scan->at;
        }
        else if ((*start != NULL && !begins(scan, "</", 2)) || !tag(scan)) {
            return false;
        }
    } while (scan->depth > 0 && text(scan));
    return scan->depth == 0 && *start != NULL;
}

/* What stands before the root. */
static bool
prolog(Scan *scan)
{
    if (begins(scan, "<?xml ", 6)) {
        const char *end = memchr(scan->at, '>', (size_t)(scan->end - scan->at));
        if (end == NULL) {
            return false;
        }
        scan->at = end + 1;
    }
    pass_blank(scan);
    return true;
}

/* What stands behind it, and nothing else does. */
static bool
epilog(Scan *scan)
{
    pass_blank(scan);
    return scan->at == scan->end;
}

static PyObject *
find(PyObject *module, PyObject *octets)
{
    if (!PyBytes_Check(octets)) {
        PyErr_SetString(PyExc_TypeError, "octets are wanted");
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(octets);
    const char *whole = PyBytes_AS_STRING(octets), *start = NULL, *end = NULL;
    Scan scan = {.at = whole, .end = whole + size};
    bool found = prolog(&scan);
    const char *opening = scan.at, *closing = NULL;
    if (found && (found = root(&scan, &start, &end))) {
        closing = scan.at;
        found = epilog(&scan);
    }
    if (!found) {
        Py_RETURN_NONE;
    }
    PyObject *idle = scan.idle ? Py_True : Py_False;
    return Py_BuildValue("nnnnO", opening - whole, start - whole, end - whole, closing - whole, idle);
}

#define CAPSULE "gateway.security.xmldsig._plain.scan"

static void
drop(PyObject *capsule)
{
    Scan *scan = PyCapsule_GetPointer(capsule, CAPSULE);
    if (scan != NULL) {
        forget(scan, 0);
        free(scan);
    }
}

static PyObject *
begin(PyObject *module, PyObject *none)
{
    Scan *scan = calloc(1, sizeof(Scan));
    if (scan == NULL) {
        return PyErr_NoMemory();
    }
    scan->in_windows = true;
    PyObject *capsule = PyCapsule_New(scan, CAPSULE, drop);
    if (capsule == NULL) {
        free(scan);
    }
    return capsule;
}

/* The scan, on a window; NULL with an exception where these are none. */
static Scan *
on_window(PyObject *args, const char **whole)
{
    PyObject *capsule, *octets;
    if (!PyArg_ParseTuple(args, "OS", &capsule, &octets)) {
        return NULL;
    }
    Scan *scan = PyCapsule_GetPointer(capsule, CAPSULE);
    if (scan != NULL) {
        scan->at = *whole = PyBytes_AS_STRING(octets);
        scan->end = *whole + PyBytes_GET_SIZE(octets);
    }
    return scan;
}

static PyObject *
go(PyObject *module, PyObject *args)
{
    const char *whole;
    Scan *scan = on_window(args, &whole);
    if (scan == NULL) {
        return NULL;
    }
    if (scan->inside == 0) {
        bool found = prolog(scan);
        scan->opening = scan->at - whole;
        found = found && tag(scan);
        scan->inside = scan->at - whole;
        if (!found || (!text(scan) && scan->at < scan->end)) {
            Py_RETURN_NONE;
        }
    }
    while (scan->at < scan->end && !is_signature(scan)) {
        if (!tag(scan) || scan->depth <= 0 || (!text(scan) && scan->at < scan->end)) {
            Py_RETURN_NONE;
        }
    }
    return PyLong_FromSsize_t(scan->at - whole);
}

static PyObject *
end(PyObject *module, PyObject *args)
{
    const char *whole;
    Scan *scan = on_window(args, &whole);
    if (scan == NULL) {
        return NULL;
    }
    const char *start, *behind;
    Py_ssize_t depth = scan->depth;
    if (depth != 1 || !is_signature(scan) || !root(scan, &start, &behind)) {
        Py_RETURN_NONE;
    }
    Py_ssize_t closing = scan->at - whole;
    if (!epilog(scan)) {
        Py_RETURN_NONE;
    }
    PyObject *idle = scan->idle ? Py_True : Py_False;
    return Py_BuildValue("nnnnO", scan->opening, scan->inside, behind - whole, closing, idle);
}

static PyMethodDef methods[] = {
    {"find", find, METH_O, "where the document begins, its signature begins and ends, the document ends; idle"},
    {"begin", begin, METH_NOARGS, "a scan of a document in windows"},
    {"go", go, METH_VARARGS, "how much of a window comes before the signature; None: it is not plain"},
    {"end", end, METH_VARARGS,
     "of what begins with the signature: where the root's start tag begins and ends, the signature and the document "
     "end; idle"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "gateway.security.xmldsig._plain", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC
PyInit__plain(void)
{
    return PyModuleDef_Init(&module);
}
