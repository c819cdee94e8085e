/* A disk that is full or takes no writes, for one process and one folder, without the right to mount one: loaded before
 * libc (LD_PRELOAD), it refuses what such a disk refuses, for as long as a file of the test's is there.
 *
 * DISK_FOLDER: the folder. DISK_FULL, DISK_READONLY: the files whose presence switches it on. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_on(const char *name) {
    const char *path = getenv(name);
    int before = errno;
    int there = path && syscall(SYS_access, path, F_OK) == 0;
    errno = before;
    return there;
}

static int is_inside(const char *path) {
    const char *folder = getenv("DISK_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_inside(path);
}

/* The error of a write up to `end`, or 0. What is there already can be written over. */
static int refusal(int fd, off_t end) {
    int read_only = is_on("DISK_READONLY"), full = is_on("DISK_FULL");
    if ((!read_only && !full) || !is_ours(fd)) return 0;
    if (read_only) return EROFS;
    struct stat file;
    return fstat(fd, &file) == 0 && end > file.st_size ? ENOSPC : 0;
}

static ssize_t refused(int error) {
    errno = error;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    int before = errno;
    off_t at = fd > 2 ? lseek(fd, 0, SEEK_CUR) : -1;
    errno = before;
    int error = at < 0 ? 0 : refusal(fd, at + (off_t)count);
    return error ? refused(error) : syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    int error = refusal(fd, at + (off_t)count);
    return error ? refused(error) : syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { return pwrite(fd, bytes, count, at); }

int ftruncate(int fd, off_t length) {
    int error = refusal(fd, length);
    return error ? (int)refused(error) : (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int fallocate(int fd, int mode, off_t at, off_t length) {
    int error = refusal(fd, at + length);
    return error ? (int)refused(error) : (int)syscall(SYS_fallocate, fd, mode, at, length);
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    if (is_inside(path)) {
        if ((flags & (O_WRONLY | O_RDWR)) && is_on("DISK_READONLY")) return (int)refused(EROFS);
        if ((flags & O_CREAT) && is_on("DISK_FULL") && syscall(SYS_access, path, F_OK) != 0) return (int)refused(ENOSPC);
    }
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE(flags)                                  \
    mode_t mode = 0;                                 \
    if ((flags) & (O_CREAT | O_TMPFILE)) {           \
        va_list more;                                \
        va_start(more, flags);                       \
        mode = va_arg(more, mode_t);                 \
        va_end(more);                                \
    }

int open(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return open_at(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return open_at(folder, path, flags, mode); }
