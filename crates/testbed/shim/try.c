/* The programs that `test.sh` runs under the shim. Each prints what it claims and then waits to be killed.
 * Not part of the shim; nothing else uses it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void must(long result, const char *what) {
    if (result < 0) perror(what), _exit(9);
}
#define MUST(x) must((long)(x), #x)
static int file(const char *name) {
    int fd = open(name, O_WRONLY | O_CREAT, 0644);
    MUST(fd);
    return fd;
}
static void put(int fd, const char *s) { MUST(write(fd, s, strlen(s)) - (long)strlen(s)); }
static void sync_dir(const char *name) {
    int fd = open(name, O_RDONLY | O_DIRECTORY);
    MUST(fd), MUST(fsync(fd)), close(fd);
}
static int ack_early;
static void *writer(void *arg) { /* 64-byte records of one thread at 64 * (n * 4 + thread): overlaps nobody, extends for all */
    long t = (long)arg;
    int fd = open("log", O_RDWR | O_CREAT, 0644);
    MUST(fd);
    for (uint64_t n = 0;; n++) {
        char rec[65], line[64];
        snprintf(rec, sizeof rec, "%02ld %020llu %039d\n", t, (unsigned long long)n, 7);
        MUST(pwrite(fd, rec, 64, (off_t)(64 * (n * 4 + (uint64_t)t))) - 64);
        int len = snprintf(line, sizeof line, "%ld %llu\n", t, (unsigned long long)n);
        if (ack_early) MUST(write(1, line, (size_t)len));
        MUST(fdatasync(fd));
        if (!ack_early) MUST(write(1, line, (size_t)len));
    }
    return 0;
}
int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "files")) {
        int a = file("appended"), o = file("overwritten"), s = file("synced"), t = file("truncated"), r = open("raw", O_RDWR | O_CREAT, 0644);
        put(a, "durable;"), put(o, "0123456789"), put(t, "long content"), put(r, "raw");
        fsync(a), fsync(o), fsync(t), fsync(r), put(s, "all of it"), fdatasync(s);
        sync_dir(".");
        put(a, "lost");
        MUST(pwrite(o, "XXXX", 4, 3) - 4);
        MUST(ftruncate(t, 2));
        MUST(syscall(SYS_pwrite64, r, "RAWRAW", 6, 0) - 6); /* not through libc's symbol */
        sync_file_range(a, 0, 0, 7);
        int d = open("dsync", O_WRONLY | O_CREAT | O_DSYNC, 0644);
        put(d, "kept"), sync_dir(".");
        FILE *f = fopen("stdio", "w"); /* libc's own write, not through its symbol */
        fputs("never synced", f), fflush(f), sync_dir(".");
    } else if (!strcmp(what, "names")) {
        int fd;
        fd = file("a"), put(fd, "a"), fsync(fd), fd = file("b"), put(fd, "b"), fsync(fd);
        fd = file("victim"), put(fd, "victim"), fsync(fd), fd = file("new"), put(fd, "new"), fsync(fd);
        MUST(mkdir("kept", 0755)), MUST(mkdir("gone", 0755)), fd = file("kept/x"), fsync(fd), fd = file("doomed"), fsync(fd);
        sync_dir("kept"), sync_dir(".");
        MUST(rename("a", "a2")), sync_dir("."); /* durable */
        MUST(rename("b", "b2"));                /* not */
        MUST(rename("new", "victim"));          /* not: the victim comes back */
        MUST(unlink("doomed")), MUST(rmdir("gone")), MUST(unlink("kept/x"));
        MUST(mkdir("fresh", 0755)), sync_dir("fresh");
        fd = file("alone"), put(fd, "alone"), fsync(fd); /* a new file, synced, its folder not */
        fd = file("index-shm"), put(fd, "x");
    } else if (!strcmp(what, "threads") || !strcmp(what, "broken")) {
        ack_early = what[0] == 'b';
        file("log"), sync_dir(".");
        pthread_t t;
        for (long i = 1; i < 4; i++) pthread_create(&t, 0, writer, (void *)i);
        writer(0);
    } else if (!strcmp(what, "mmap")) {
        int fd = open("mapped", O_RDWR | O_CREAT, 0644);
        MUST(ftruncate(fd, 4096));
        mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    MUST(write(1, "ready\n", 6));
    pause();
    return 0;
}
