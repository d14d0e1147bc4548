/* A disk and a clock that a test can spoil: preloaded into the processes under test.

   The file named by CVAN_CHAOS_CONTROL is mapped: 8 octets of mode, 8 octets of seconds that the clock is
   ahead.  Mode 1: no space is left (ENOSPC).  Mode 2: the file system became read-only (EROFS).  Both for
   every write into a regular file.

   With CVAN_CHAOS_DURABLE=1, what was synchronised of each file *.db and *.db-wal is also kept beside it,
   in a file *.durable: what a disk would hold after a power cut that loses all that was not synchronised.
   With CVAN_CHAOS_DURABLE=lie a synchronisation reaches nothing, as on a disk that lies. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control { int64_t mode; int64_t ahead; };
static volatile struct control none, *control = &none;
static int durable, lies;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CVAN_CHAOS_CONTROL"), *kept = getenv("CVAN_CHAOS_DURABLE");
    durable = kept && *kept;
    lies = kept && !strcmp(kept, "lie");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) control = map;
    close(fd);
}

/* -- the disk ------------------------------------------------------------------------------------ */

static int spoilt(int fd)
{
    struct stat st;
    int64_t mode = control->mode;
    if (!mode || fstat(fd, &st) || !S_ISREG(st.st_mode)) return 0;
    errno = mode == 1 ? ENOSPC : EROFS;
    return 1;
}

/* -- what is synchronised -------------------------------------------------------------------------- */

/* A synchronisation takes to the disk what anybody wrote into the file, of this process or another, dead or alive: SQLite
   rests on that, where one process copies pages from the log into the file and another synchronises it.  So what was
   written is noted in a file of its own, *.dirty, whose lock is also that of *.durable. */

#define FILES 64
#define CUT -1 /* to so many octets */
#define AT_ONCE 512
struct range { off_t at, length; };
static struct list { dev_t dev; ino_t ino, own; int fd; } lists[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int named(int fd, char *path, size_t room)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, room - 16);
    if (length < 4) return 0;
    path[length] = 0;
    return !strcmp(path + length - 3, ".db") || (length > 7 && !strcmp(path + length - 7, ".db-wal"));
}

/* The list of a file's ranges, locked; -1 where the file is none that is kept.  In `unlisted` it is let go. */
static int listed(int fd)
{
    static int next;
    struct stat st, own;
    char path[4096];
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return -1;
    pthread_mutex_lock(&lock);
    struct list *list = NULL;
    for (int n = 0; n < FILES && !list; n++)
        if (lists[n].ino == st.st_ino && lists[n].dev == st.st_dev) list = &lists[n];
    if (list && (fstat(list->fd, &own) || own.st_ino != list->own)) {
        list->ino = 0; /* somebody closed it */
        list = NULL;
    } else if (list && !own.st_nlink) {
        close(list->fd);
        list->ino = 0;
        list = NULL;
    }
    if (!list && named(fd, path, sizeof path)) {
        list = &lists[next++ % FILES];
        if (list->ino) close(list->fd);
        list->fd = open(strcat(path, ".dirty"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (list->fd < 0 || fstat(list->fd, &own)) abort();
        list->dev = st.st_dev;
        list->ino = st.st_ino;
        list->own = own.st_ino;
    }
    if (list && !flock(list->fd, LOCK_EX)) return list->fd;
    pthread_mutex_unlock(&lock);
    return -1;
}

static void unlisted(int list)
{
    flock(list, LOCK_UN);
    pthread_mutex_unlock(&lock);
}

static void wrote(int fd, off_t at, off_t length)
{
    if (!durable) return;
    int before = errno, list = listed(fd);
    struct range range = {at, length};
    if (list >= 0) {
        if (syscall(SYS_write, list, &range, sizeof range) != sizeof range) abort();
        unlisted(list);
    }
    errno = before;
}

static void copied(int fd, int kept, struct range range)
{
    char piece[65536];
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    for (off_t at = range.at, end = at + range.length; at < end;) {
        size_t want = end - at < (off_t)sizeof piece ? (size_t)(end - at) : sizeof piece;
        ssize_t got = pread(fd, piece, want, at);
        if (got <= 0) return;
        if (real(kept, piece, got, at) != got) abort();
        at += got;
    }
}

static void synchronised(int fd)
{
    if (!durable || lies) return;
    int before = errno, list = listed(fd);
    char path[4096];
    struct range ranges[AT_ONCE];
    ssize_t got;
    if (list >= 0 && named(fd, path, sizeof path)) {
        int kept = open(strcat(path, ".durable"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (kept < 0) abort();
        for (off_t at = 0; (got = pread(list, ranges, sizeof ranges, at)) > 0; at += got) {
            for (size_t n = 0; n < got / sizeof *ranges; n++) {
                if (ranges[n].at != CUT) copied(fd, kept, ranges[n]);
                else if (syscall(SYS_ftruncate, kept, ranges[n].length)) abort();
            }
        }
        if (syscall(SYS_ftruncate, list, 0)) abort();
        close(kept);
    }
    if (list >= 0) unlisted(list);
    errno = before;
}

ssize_t write(int fd, const void *data, size_t length)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    if (spoilt(fd)) return -1;
    return real(fd, data, length);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    if (spoilt(fd)) return -1;
    ssize_t done = real(fd, data, length, at);
    if (done > 0) wrote(fd, at, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return pwrite64(fd, data, length, at); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at)
{
    REAL(ssize_t, "pwritev64", int, const struct iovec *, int, off_t);
    if (spoilt(fd)) return -1;
    ssize_t done = real(fd, parts, count, at);
    if (done > 0) wrote(fd, at, done);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }

int posix_fallocate64(int fd, off_t at, off_t length)
{
    REAL(int, "posix_fallocate64", int, off_t, off_t);
    return spoilt(fd) ? errno : real(fd, at, length);
}

int posix_fallocate(int fd, off_t at, off_t length) { return posix_fallocate64(fd, at, length); }

int ftruncate64(int fd, off_t size)
{
    REAL(int, "ftruncate64", int, off_t);
    if (spoilt(fd)) return -1;
    int failed = real(fd, size);
    if (!failed) wrote(fd, CUT, size);
    return failed;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    if (spoilt(fd)) return -1;
    int failed = real(fd);
    if (!failed) synchronised(fd);
    return failed;
}

int fsync(int fd)
{
    REAL(int, "fsync", int);
    if (spoilt(fd)) return -1;
    int failed = real(fd);
    if (!failed) synchronised(fd);
    return failed;
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *);
    size_t length = strlen(path);
    if (durable && length > 7 && length < 4000 && !strcmp(path + length - 7, ".db-wal")) {
        char kept[4096];
        snprintf(kept, sizeof kept, "%s.durable", path);
        real(kept);
        snprintf(kept, sizeof kept, "%s.dirty", path);
        real(kept);
    }
    return real(path);
}

/* -- the clock ------------------------------------------------------------------------------------ */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += control->ahead;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone)
{
    REAL(int, "gettimeofday", struct timeval *, void *);
    int failed = real(now, zone);
    if (!failed) now->tv_sec += control->ahead;
    return failed;
}

time_t time(time_t *into)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
