/* How glibc's allocator keeps memory, set before `main`: Rust has no safe call for it.
 *
 * By default each thread gets an arena of its own and keeps what it once needed at most, and each large block that is
 * freed raises the size up to which blocks are kept: a process grows for hours. docs/decisions/0008-memory.md has the
 * figures. Other C libraries have nothing to set. */
#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>

#define KEPT (128 * 1024)

__attribute__((constructor)) static void t4t_allocator(void) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, KEPT);
    mallopt(M_TRIM_THRESHOLD, KEPT);
}
#endif
