/* Raw system calls past the filter, locks shared between processes, paths. Runs inside a signal handler:
 * nothing here may call a libc function that takes a lock or allocates.
 * Part of powerloss.c and of nothing else: it is included there, once, in order. */

static char *put_str(char *at, const char *s) {
    while (*s) *at++ = *s++;
    *at = 0;
    return at;
}
static char *put_num(char *at, uint64_t n) {
    char t[24];
    int i = 0;
    do t[i++] = (char)('0' + n % 10);
    while (n /= 10);
    while (i) *at++ = t[--i];
    *at = 0;
    return at;
}
static void die(const char *what, const char *detail) __attribute__((noreturn));
static void die(const char *what, const char *detail) {
    char m[5000], *p = put_str(m, "powerloss shim: ");
    p = put_str(p, what);
    if (detail) p = put_str(put_str(p, ": "), detail);
    p = put_str(p, "\n");
    RAW(SYS_write, 2, m, p - m, 0, 0, 0);
    struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } dfl = {0};
    uint64_t none = 0;
    RAW(SYS_rt_sigaction, SIGABRT, &dfl, 0, KERNEL_SIGSET, 0, 0);
    RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, KERNEL_SIGSET, 0, 0);
    RAW(SYS_kill, RAW(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGABRT, 0, 0, 0, 0);
    for (;;) RAW(SYS_exit_group, 134, 0, 0, 0, 0, 0);
}

#define WAITERS 0x80000000u
/* shared between processes; a lock whose owner has died is taken over, which is safe because all is published last */
static void lock(volatile uint32_t *w) {
    uint32_t tid = (uint32_t)RAW(SYS_gettid, 0, 0, 0, 0, 0, 0), want = tid;
    for (int spin = 0;; spin++) {
        uint32_t v = 0;
        if (__atomic_compare_exchange_n(w, &v, want, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
        if (spin < 50) {
            __builtin_ia32_pause();
            continue;
        }
        want = tid | WAITERS;
        if (!(v & WAITERS) && !__atomic_compare_exchange_n(w, &v, v | WAITERS, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            continue;
        v |= WAITERS;
        struct timespec t = {0, 200 * 1000 * 1000};
        long r = RAW(SYS_futex, w, FUTEX_WAIT, v, &t, 0, 0);
        if (r == -ETIMEDOUT && RAW(SYS_kill, v & ~WAITERS, 0, 0, 0, 0, 0) == -ESRCH)
            if (__atomic_compare_exchange_n(w, &v, want, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    }
}
static void unlock(volatile uint32_t *w) {
    if (__atomic_exchange_n(w, 0, __ATOMIC_RELEASE) & WAITERS) RAW(SYS_futex, w, FUTEX_WAKE, 1, 0, 0, 0);
}
/* a signal handler that writes while we hold a lock would wait for itself */
static uint64_t block_signals(void) {
    uint64_t all = ~0ULL, old = 0;
    RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, KERNEL_SIGSET, 0, 0);
    return old;
}
static void restore_signals(uint64_t old) { RAW(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, KERNEL_SIGSET, 0, 0); }

static long raw_fstat(int fd, struct stat *st) { return RAW(SYS_fstat, fd, st, 0, 0, 0, 0); }
static long raw_lstatat(int fd, const char *name, struct stat *st) {
    return RAW(SYS_newfstatat, fd, name, st, AT_SYMLINK_NOFOLLOW, 0, 0);
}
static void journal_path(char *out, uint64_t ino) { put_num(put_str(put_str(out, journal), "/i/"), ino); }

static int untracked_name(const char *name) {
    size_t n = strlen(name);
    return n >= 4 && memcmp(name + n - 4, "-shm", 4) == 0;
}
/* the path of an open descriptor, if it lies below the root (or is it); 0 otherwise */
static int fd_below_root(int fd, char *path) {
    char proc[64];
    put_num(put_str(proc, "/proc/self/fd/"), (uint64_t)fd);
    long n = RAW(SYS_readlink, proc, path, 4095, 0, 0, 0);
    if (n < (long)root_len) return 0;
    path[n] = 0;
    return memcmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == 0);
}
