/* Counts a process's allocations, for benches/run: loaded by LD_PRELOAD, it adds them up in the
   file that ALLOCATIONS names, where they can be read at any time: calls, then bytes asked for,
   both as 64-bit numbers. The real functions are those of glibc under their inner names. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

static uint64_t unshared[2];
static uint64_t *counts = unshared;

__attribute__((constructor)) static void share(void) {
    const char *path = getenv("ALLOCATIONS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof unshared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) counts = page;
}

static void *counted(void *block, size_t bytes) {
    __atomic_add_fetch(&counts[0], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&counts[1], bytes, __ATOMIC_RELAXED);
    return block;
}

void *malloc(size_t bytes) { return counted(__libc_malloc(bytes), bytes); }
void *calloc(size_t n, size_t bytes) { return counted(__libc_calloc(n, bytes), n * bytes); }
void *realloc(void *block, size_t bytes) { return counted(__libc_realloc(block, bytes), bytes); }
void *memalign(size_t align, size_t bytes) { return counted(__libc_memalign(align, bytes), bytes); }
void *aligned_alloc(size_t align, size_t bytes) { return memalign(align, bytes); }
int posix_memalign(void **block, size_t align, size_t bytes) {
    *block = memalign(align, bytes);
    return *block ? 0 : ENOMEM;
}
