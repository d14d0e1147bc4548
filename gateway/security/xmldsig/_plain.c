/* Documents that are, without their last signature, their own canonical form: found by one pass over their octets.

   What it answers is certain only of octets that libxml2 has read without a word: that tags match, names are names and
   text is UTF-8 is not asked again.  At the first thing that canonicalisation could write otherwise (another quote, a
   reference or a blank that it would change, attributes or namespaces out of order or repeated, a comment) it gives
   up.  Nothing is kept, nothing is read beyond the octets, and nothing is called. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
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
} Scope;

typedef struct {
    const char *at, *end;
    bool idle; /* some namespace is declared where nothing uses it */
    Py_ssize_t depth; /* of the element whose content is being read; the root's is 1 */
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
    scan->scopes[scan->count++] = (Scope){prefix, uri, scan->depth};
    return true;
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

/* The root and all in it; where the Signature, its last child, begins and ends. */
static bool
root(Scan *scan, const char **start, const char **end)
{
    *start = *end = NULL;
    do {
        const char *tag = scan->at;
        if (TAKE(scan, "</")) {
            if (!pass(scan, STOPS_NAME) || !TAKE(scan, ">")) {
                return false;
            }
            while (scan->count > 0 && scan->scopes[scan->count - 1].depth == scan->depth) {
                scan->count--;
            }
            scan->depth--;
            continue;
        }
        Name prefix, local;
        if (!TAKE(scan, "<") || (scan->depth == 1 && *start != NULL) || !name(scan, &prefix, &local)) {
            return false;
        }
        if (scan->depth == 1 && is(local, "Signature", 9)) {
            *start = scan->at = tag;
            if (!skip(scan)) {
                return false;
            }
            *end = scan->at;
            continue;
        }
        if (local.at[0] == '!' || local.at[0] == '?') {
            return false;
        }
        scan->depth++;
        if (!attributes(scan, prefix)) {
            return false;
        }
    } while (scan->depth > 0 && text(scan));
    return scan->depth == 0 && *start != NULL;
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
    bool found = true;
    if (begins(&scan, "<?xml ", 6)) {
        found = (scan.at = memchr(scan.at, '>', (size_t)size)) != NULL;
        scan.at += found;
    }
    if (found) {
        pass_blank(&scan);
    }
    const char *opening = scan.at, *closing = NULL;
    if (found && (found = root(&scan, &start, &end))) {
        closing = scan.at;
        pass_blank(&scan);
        found = scan.at == scan.end;
    }
    if (!found) {
        Py_RETURN_NONE;
    }
    PyObject *idle = scan.idle ? Py_True : Py_False;
    return Py_BuildValue("nnnnO", opening - whole, start - whole, end - whole, closing - whole, idle);
}

static PyMethodDef methods[] = {
    {"find", find, METH_O, "where the document begins, its signature begins and ends, the document ends; idle"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "gateway.security.xmldsig._plain", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC
PyInit__plain(void)
{
    return PyModuleDef_Init(&module);
}
