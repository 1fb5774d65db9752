/* Power-loss shim: an LD_PRELOAD library that remembers how to undo every change below a folder which was never
 * made durable, so that `powerloss-apply` can show, after a SIGKILL, what the disk would hold had the power gone.
 * It must never change what the program sees, and never let a change through before its undo record is whole.
 *
 *   LUOPAN_POWERLOSS_ROOT     folder to track (must exist)
 *   LUOPAN_POWERLOSS_JOURNAL  folder for undo information: outside the root, on the same file system
 *   LUOPAN_POWERLOSS_CREATE   `strict` (default): a new name is durable after fsync of its folder only.
 *                             `with-file`: fsync of a new file or folder also makes its own creation, and that of its
 *                             parents, durable, as ext4, xfs and btrfs do.
 *   LUOPAN_POWERLOSS_ARENA_GIB  size of the sparse undo arena (default 32)
 *
 * How calls are caught: not by replacing libc's symbols, since rustix (and with it tempfile and fjall) and libc's own
 * stdio enter the kernel without them, but by a seccomp filter that turns the calls concerned into SIGSYS; the handler
 * does the bookkeeping and then the call, through a trampoline at a fixed address which the filter lets pass.
 *
 * Model (strict reading of POSIX):
 *  - file data and size: durable when an fsync/fdatasync/syncfs of that inode succeeds, for writes that had returned
 *    before it began. sync_file_range and O_DIRECT promise nothing. O_SYNC/O_DSYNC/RWF_DSYNC make that one write durable.
 *  - a folder is a map from name to inode; fsync of the folder makes its present map durable. A rename within a folder
 *    is one atomic change; across folders it is two, one in each.
 *  - what exists when tracking starts is durable. Modes, times and attributes are not tracked.
 *  - names ending in `-shm` (SQLite's shared index, rebuilt at recovery) are not tracked and vanish at power loss.
 * Refused loudly (message and abort), since it could not be tracked: shared writable mappings. Answered as an older
 * kernel or another file system would, so that programs fall back: io_uring, aio, reflinks, O_TMPFILE, splice into a file.
 */
#define _GNU_SOURCE
#include "layout.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#if !defined(__x86_64__) || !defined(__linux__)
#error "the power-loss shim knows x86_64 Linux only"
#endif

#define TRAMPOLINE 0x6c7570000000ULL
#define PROBE_NR 0x7eee
#define PROBE_ERRNO 1999
#define KERNEL_SIGSET 8

typedef long (*trampoline_fn)(long, long, long, long, long, long, long);
/* glibc's syscall(), at an address the filter knows */
static const unsigned char trampoline_code[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48,
                                                0x89, 0xca, 0x4d, 0x89, 0xc2, 0x4d, 0x89, 0xc8, 0x4c, 0x8b,
                                                0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3};
#define AFTER_SYSCALL (TRAMPOLINE + sizeof trampoline_code - 1)
#define RAW(nr, a, b, c, d, e, f) \
    (((trampoline_fn)TRAMPOLINE)((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))

static char *arena;
static struct pl_header *head;
static struct pl_slot *slots;
static char root[4096], journal[4096];
static size_t root_len;
static int with_file;

/* ---- small tools: nothing here may call libc functions that take locks or allocate ---- */

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

/* ---- slots and chunks ---- */

static uint32_t slot_hash(uint64_t ino) { return (uint32_t)((ino * 0x9e3779b97f4a7c15ULL) >> 40) & (PL_SLOTS - 1); }
static struct pl_slot *find_slot(uint64_t ino) {
    for (uint32_t i = slot_hash(ino), n = 0; n < PL_SLOTS; i = (i + 1) & (PL_SLOTS - 1), n++) {
        uint32_t state = __atomic_load_n(&slots[i].state, __ATOMIC_ACQUIRE);
        if (state == PL_EMPTY) return 0;
        if (state == PL_USED && slots[i].ino == ino) return &slots[i];
    }
    return 0;
}
static struct pl_slot *get_slot(uint64_t ino, uint32_t kind) {
    struct pl_slot *s = find_slot(ino), *free_slot = 0;
    if (s) return s;
    lock(&head->slot_lock);
    for (uint32_t i = slot_hash(ino), n = 0; n < PL_SLOTS; i = (i + 1) & (PL_SLOTS - 1), n++) {
        if (slots[i].state == PL_USED && slots[i].ino == ino) {
            unlock(&head->slot_lock);
            return &slots[i];
        }
        if (slots[i].state != PL_USED && !free_slot) free_slot = &slots[i];
        if (slots[i].state == PL_EMPTY) break;
    }
    if (!free_slot) die("too many inodes tracked at once", 0);
    free_slot->kind = kind;
    free_slot->ino = ino;
    free_slot->next_seq = 1;
    free_slot->durable_seq = 0;
    free_slot->head = free_slot->last = 0;
    free_slot->refs = 0;
    free_slot->parent_ino = free_slot->create_seq = 0;
    __atomic_store_n(&free_slot->state, PL_USED, __ATOMIC_RELEASE);
    unlock(&head->slot_lock);
    return free_slot;
}
static struct pl_chunk *chunk_at(uint64_t off) { return (struct pl_chunk *)(arena + off); }

static uint64_t chunk_new(uint64_t bytes) {
    uint64_t cap = (bytes + PL_UNIT - 1) / PL_UNIT * PL_UNIT, off;
    lock(&head->alloc_lock);
    if (cap == PL_UNIT && head->free_head) {
        off = head->free_head;
        head->free_head = chunk_at(off)->next;
    } else {
        off = head->bump;
        if (off + cap > head->arena_bytes)
            die("undo arena is full: raise LUOPAN_POWERLOSS_ARENA_GIB or fsync now and then", 0);
        head->bump = off + cap;
    }
    unlock(&head->alloc_lock);
    struct pl_chunk *c = chunk_at(off);
    c->next = 0;
    c->cap = cap;
    c->used = 0;
    return off;
}
static void chunk_free(uint64_t off) {
    lock(&head->alloc_lock);
    uint64_t cap = chunk_at(off)->cap;
    for (uint64_t at = off; at < off + cap; at += PL_UNIT) {
        chunk_at(at)->next = head->free_head;
        head->free_head = at;
    }
    unlock(&head->alloc_lock);
}
/* room for a record; it does not exist for a reader until publish(). slot lock held. */
static struct pl_record *reserve(struct pl_slot *s, uint32_t type, uint64_t payload) {
    uint64_t bytes = (sizeof(struct pl_record) + payload + 7) & ~7ULL;
    struct pl_chunk *c = s->last ? chunk_at(s->last) : 0;
    if (!c || sizeof *c + c->used + bytes > c->cap) {
        uint64_t off = chunk_new(sizeof *c + bytes);
        if (c)
            __atomic_store_n(&c->next, off, __ATOMIC_RELEASE);
        else
            __atomic_store_n(&s->head, off, __ATOMIC_RELEASE);
        s->last = off;
        c = chunk_at(off);
    }
    struct pl_record *r = (struct pl_record *)((char *)(c + 1) + c->used);
    *r = (struct pl_record){.magic = PL_RECORD_MAGIC, .type = type, .bytes = bytes, .seq = s->next_seq};
    return r;
}
static void publish(struct pl_slot *s, struct pl_record *r) {
    struct pl_chunk *c = chunk_at(s->last);
    s->next_seq = r->seq + 1;
    __atomic_store_n(&c->used, c->used + r->bytes, __ATOMIC_RELEASE);
}
static struct pl_record *next_record(struct pl_slot *s, struct pl_record *r, uint64_t *chunk) {
    char *end;
    (void)s;
    if (r) {
        struct pl_chunk *c = chunk_at(*chunk);
        end = (char *)(c + 1) + c->used;
        r = (struct pl_record *)((char *)r + r->bytes);
        if ((char *)r < end) return r;
        *chunk = c->next;
    }
    while (*chunk) {
        struct pl_chunk *c = chunk_at(*chunk);
        if (c->used) return (struct pl_record *)(c + 1);
        *chunk = c->next;
    }
    return 0;
}
#define EACH_RECORD(s, r) \
    for (uint64_t at_ = (s)->head, once_ = 1; once_; once_ = 0) \
        for (struct pl_record *r = next_record((s), 0, &at_); r; r = next_record((s), r, &at_))

static void forget(struct pl_slot *s);
static void release_refs(struct pl_record *r) {
    struct pl_assign *a = (struct pl_assign *)(r + 1);
    for (uint64_t i = 0; i < r->len; i++, a = (struct pl_assign *)((char *)a + a->bytes)) {
        uint64_t inos[2] = {a->old_ino, a->new_ino};
        for (int k = 0; k < 2; k++) {
            if (!inos[k] || inos[k] == PL_UNKNOWN) continue;
            struct pl_slot *s = find_slot(inos[k]);
            if (s && s->refs && --s->refs == 0) forget(s);
        }
    }
}
static void free_chunks(struct pl_slot *s) {
    uint64_t at = s->head;
    __atomic_store_n(&s->head, 0, __ATOMIC_RELEASE);
    s->last = 0;
    while (at) {
        uint64_t next = chunk_at(at)->next;
        chunk_free(at);
        at = next;
    }
}
/* an inode without a name in the tree which nothing pending would bring back: give its journal link up. ns lock held. */
static void forget(struct pl_slot *s) {
    char path[4200];
    struct stat st;
    journal_path(path, s->ino);
    if (raw_lstatat(AT_FDCWD, path, &st)) return;
    if (s->kind == PL_FILE && st.st_nlink > 1) {
        RAW(SYS_unlink, path, 0, 0, 0, 0, 0); /* it has a durable name again: the extra link is of no use */
        return;
    }
    lock(&s->lock);
    if (s->kind == PL_DIR) EACH_RECORD(s, r) if (r->seq > s->durable_seq && !(r->flags & PL_VOID)) release_refs(r);
    s->durable_seq = s->next_seq - 1;
    free_chunks(s);
    __atomic_store_n(&s->state, PL_TOMB, __ATOMIC_RELEASE);
    unlock(&s->lock);
    RAW(s->kind == PL_DIR ? SYS_rmdir : SYS_unlink, path, 0, 0, 0, 0, 0);
}
/* records up to `seq` have become durable (for a folder the ns lock is held) */
static void advance(struct pl_slot *s, uint64_t seq) {
    lock(&s->lock);
    uint64_t before = s->durable_seq;
    if (seq > before && s->state == PL_USED) {
        __atomic_store_n(&s->durable_seq, seq, __ATOMIC_RELEASE);
        if (s->kind == PL_DIR)
            EACH_RECORD(s, r) if (r->seq > before && r->seq <= seq && !(r->flags & PL_VOID)) release_refs(r);
        if (seq == s->next_seq - 1) {
            free_chunks(s);
        } else {
            while (s->head != s->last) {
                struct pl_chunk *next = chunk_at(chunk_at(s->head)->next);
                /* a chunk may go when the first record of the next is still covered or directly follows */
                if (!next->used || ((struct pl_record *)(next + 1))->seq > seq + 1) break;
                uint64_t old = s->head;
                __atomic_store_n(&s->head, chunk_at(old)->next, __ATOMIC_RELEASE);
                chunk_free(old);
            }
        }
    }
    unlock(&s->lock);
}

/* ---- files ---- */

static struct pl_slot *tracked_file(int fd, struct stat *st) {
    char path[4096];
    if (raw_fstat(fd, st) || !S_ISREG(st->st_mode) || st->st_dev != head->root_dev) return 0;
    struct pl_slot *s = find_slot(st->st_ino);
    if (s) return s;
    if (st->st_nlink == 0 || !fd_below_root(fd, path) || untracked_name(path)) return 0;
    return get_slot(st->st_ino, PL_FILE);
}
/* lock a slot and see that it is still that inode's; 0 if it was forgotten meanwhile */
static int lock_slot(struct pl_slot *s, uint64_t ino) {
    lock(&s->lock);
    if (s->state == PL_USED && s->ino == ino) return 1;
    unlock(&s->lock);
    return 0;
}
static uint64_t trim_zeros(const char *b, uint64_t n) {
    while (n && b[n - 1] == 0) n--;
    return n;
}
static void read_old(int fd, char *to, uint64_t n, uint64_t off) {
    for (uint64_t at = 0; at < n;) {
        long r = RAW(SYS_pread64, fd, to + at, n - at, off + at, 0, 0);
        if (r == -EINTR) continue;
        if (r < 0) die("cannot read the bytes about to be overwritten (descriptor opened before the shim, or O_DIRECT set later)", 0);
        if (r == 0) {
            memset(to + at, 0, n - at);
            break;
        }
        at += (uint64_t)r;
    }
}
/* undo record for bytes [off, off+len) and the size; published when this returns. slot lock held. */
static struct pl_record *save_write(struct pl_slot *s, int fd, uint64_t off, uint64_t len, uint64_t size) {
    uint64_t n = off < size ? (len < size - off ? len : size - off) : 0;
    struct pl_record *r = reserve(s, PL_WRITE, n);
    r->off = off;
    r->len = len;
    r->old_size = size;
    if (n) read_old(fd, (char *)(r + 1), n, off);
    r->old_len = trim_zeros((char *)(r + 1), n);
    r->bytes = (sizeof *r + r->old_len + 7) & ~7ULL;
    publish(s, r);
    return r;
}
/* the last byte that is not zero in [from, size): what a cut would lose. slot lock held. */
static struct pl_record *save_resize(struct pl_slot *s, int fd, uint64_t to, uint64_t size) {
    char block[16384];
    uint64_t end = size;
    while (end > to) {
        uint64_t n = end - to < sizeof block ? end - to : sizeof block;
        read_old(fd, block, n, end - n);
        uint64_t left = trim_zeros(block, n);
        end -= n - left;
        if (left) break;
    }
    uint64_t n = end > to ? end - to : 0;
    struct pl_record *r = reserve(s, PL_RESIZE, n);
    r->off = to;
    r->old_size = size;
    r->old_len = n;
    if (n) read_old(fd, (char *)(r + 1), n, to);
    publish(s, r);
    return r;
}
static void finish_write(struct pl_record *r, long result, int synced) {
    if (result <= 0 && r->type == PL_WRITE) {
        r->flags |= PL_VOID;
    } else if (result < 0) {
        r->flags |= PL_VOID;
    } else {
        r->done = (uint64_t)result;
        if (synced) r->flags |= PL_SYNCED;
    }
}
struct call {
    long nr, a[6];
};
static long pass(struct call *c) { return RAW(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]); }

static long do_write(struct call *c, int fd, uint64_t len, int64_t off, long rwf) {
    struct stat st;
    struct pl_slot *s = tracked_file(fd, &st);
    if (!s) return pass(c);
    long fl = RAW(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    if ((fl & O_ACCMODE) == O_RDONLY || len == 0) return pass(c);
    uint64_t mask = block_signals();
    if (!lock_slot(s, st.st_ino)) {
        restore_signals(mask);
        return pass(c);
    }
    raw_fstat(fd, &st);
    uint64_t at;
    if ((fl & O_APPEND) || (rwf & RWF_APPEND))
        at = (uint64_t)st.st_size;
    else
        at = off >= 0 ? (uint64_t)off : (uint64_t)RAW(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0);
    struct pl_record *r = save_write(s, fd, at, len, (uint64_t)st.st_size);
    long result = pass(c);
    finish_write(r, result, (fl & O_DSYNC) || (rwf & (RWF_DSYNC | RWF_SYNC)));
    unlock(&s->lock);
    restore_signals(mask);
    return result;
}
static uint64_t iov_len(const struct iovec *v, long n) {
    uint64_t sum = 0;
    for (long i = 0; i < n && i < 1024; i++) sum += v[i].iov_len;
    return sum;
}
static long do_resize(struct call *c, int fd, uint64_t to, int write_like, uint64_t off, uint64_t len) {
    struct stat st;
    struct pl_slot *s = tracked_file(fd, &st);
    if (!s) return pass(c);
    uint64_t mask = block_signals();
    if (!lock_slot(s, st.st_ino)) {
        restore_signals(mask);
        return pass(c);
    }
    raw_fstat(fd, &st);
    struct pl_record *r = write_like ? save_write(s, fd, off, len, (uint64_t)st.st_size)
                                     : save_resize(s, fd, to, (uint64_t)st.st_size);
    long result = pass(c);
    finish_write(r, write_like && result == 0 ? (long)len : result, 0);
    unlock(&s->lock);
    restore_signals(mask);
    return result;
}
static long do_fallocate(struct call *c) {
    int fd = (int)c->a[0], mode = (int)c->a[1];
    uint64_t off = (uint64_t)c->a[2], len = (uint64_t)c->a[3];
    struct stat st;
    if (!tracked_file(fd, &st)) return pass(c);
    if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) return -EOPNOTSUPP;
    if (mode & FALLOC_FL_PUNCH_HOLE || (mode & FALLOC_FL_ZERO_RANGE && mode & FALLOC_FL_KEEP_SIZE)) {
        if (off >= (uint64_t)st.st_size) return pass(c);
        if (len > (uint64_t)st.st_size - off) len = (uint64_t)st.st_size - off;
        return do_resize(c, fd, 0, 1, off, len);
    }
    if (mode & FALLOC_FL_ZERO_RANGE) return do_resize(c, fd, 0, 1, off, len);
    if (mode & FALLOC_FL_KEEP_SIZE || off + len <= (uint64_t)st.st_size) return pass(c);
    return do_resize(c, fd, off + len, 0, 0, 0);
}
/* copy_file_range and sendfile: a write of at most 1 MiB at the output's place; a short copy is allowed */
static long do_copy(struct call *c, int out, int64_t *out_off, int len_arg) {
    struct stat st;
    if (!tracked_file(out, &st)) return pass(c);
    if ((uint64_t)c->a[len_arg] > (1u << 20)) c->a[len_arg] = 1 << 20;
    return do_write(c, out, (uint64_t)c->a[len_arg], out_off ? *out_off : -1, 0);
}

/* with-file: the creation of this inode and of its parents is durable now */
static void creation_durable(struct pl_slot *s) {
    lock(&head->ns_lock);
    while (s && s->create_seq) {
        struct pl_slot *d = find_slot(s->parent_ino);
        if (d) EACH_RECORD(d, r) if (r->seq == s->create_seq) r->flags |= PL_SYNCED;
        s->create_seq = 0;
        s = d;
    }
    unlock(&head->ns_lock);
}
static long do_fsync(struct call *c) {
    struct stat st;
    if (raw_fstat((int)c->a[0], &st) || st.st_dev != head->root_dev || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return pass(c);
    struct pl_slot *s = find_slot(st.st_ino);
    if (!s) return pass(c);
    int dir = s->kind == PL_DIR;
    uint64_t mask = block_signals(), seq = 0;
    if (dir) lock(&head->ns_lock);
    int mine = lock_slot(s, st.st_ino);
    if (mine) {
        seq = s->next_seq - 1; /* every record up to here belongs to a call that has returned */
        unlock(&s->lock);
    }
    if (dir) unlock(&head->ns_lock);
    long result = pass(c);
    if (mine && result == 0) {
        if (dir) lock(&head->ns_lock);
        advance(s, seq);
        if (dir) unlock(&head->ns_lock);
        if (with_file) creation_durable(s);
    }
    restore_signals(mask);
    return result;
}
static long do_sync_all(struct call *c) {
    uint64_t mask = block_signals();
    lock(&head->ns_lock);
    for (uint32_t i = 0; i < PL_SLOTS; i++)
        if (slots[i].state == PL_USED) {
            lock(&slots[i].lock);
            slots[i].sync_seq = slots[i].next_seq - 1;
            unlock(&slots[i].lock);
        } else slots[i].sync_seq = 0;
    long result = pass(c);
    for (uint32_t i = 0; i < PL_SLOTS && result == 0; i++)
        if (slots[i].state == PL_USED && slots[i].sync_seq) advance(&slots[i], slots[i].sync_seq);
    unlock(&head->ns_lock);
    restore_signals(mask);
    return result;
}

/* ---- names ---- */

struct place {
    int parent; /* O_PATH descriptor, -1 if not tracked */
    struct pl_slot *dir;
    char name[256];
};
static void leave(struct place *p) {
    if (p->parent >= 0) RAW(SYS_close, p->parent, 0, 0, 0, 0, 0);
    p->parent = -1;
}
static int locate(int dirfd, const char *path, struct place *p) {
    char buf[4096], real[4096];
    struct stat st;
    p->parent = -1;
    p->dir = 0;
    if (!path) return 0;
    size_t n = strnlen(path, sizeof buf);
    if (n == 0 || n >= sizeof buf) return 0;
    memcpy(buf, path, n + 1);
    while (n > 1 && buf[n - 1] == '/') buf[--n] = 0;
    char *slash = strrchr(buf, '/'), *name = slash ? slash + 1 : buf;
    if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) > 255 || untracked_name(name)) return 0;
    strcpy(p->name, name);
    if (slash == buf) buf[1] = 0;
    else if (slash) *slash = 0;
    int fd = (int)RAW(SYS_openat, dirfd, slash ? buf : ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0) return 0;
    p->parent = fd;
    if (raw_fstat(fd, &st) || st.st_dev != head->root_dev || st.st_nlink == 0) {
        leave(p);
        return 0;
    }
    p->dir = find_slot(st.st_ino);
    if (!p->dir) {
        if (!fd_below_root(fd, real)) {
            leave(p);
            return 0;
        }
        p->dir = get_slot(st.st_ino, PL_DIR);
    }
    return 1;
}
struct change {
    const char *name;
    uint64_t old_ino, new_ino;
};
static void hold(uint64_t ino, int is_dir) {
    if (ino && ino != PL_UNKNOWN) __atomic_add_fetch(&get_slot(ino, is_dir ? PL_DIR : PL_FILE)->refs, 1, __ATOMIC_RELAXED);
}
/* ns lock held. The inodes named must be held already. */
static struct pl_record *save_entries(struct pl_slot *dir, const struct change *ch, int n) {
    uint64_t payload = 0;
    for (int i = 0; i < n; i++) payload += (sizeof(struct pl_assign) + strlen(ch[i].name) + 7) & ~7ULL;
    lock(&dir->lock);
    struct pl_record *r = reserve(dir, PL_ENTRY, payload);
    r->len = (uint64_t)n;
    struct pl_assign *a = (struct pl_assign *)(r + 1);
    for (int i = 0; i < n; i++) {
        a->old_ino = ch[i].old_ino;
        a->new_ino = ch[i].new_ino;
        a->name_len = (uint32_t)strlen(ch[i].name);
        a->bytes = (uint32_t)((sizeof *a + a->name_len + 7) & ~7ULL);
        memcpy(a->name, ch[i].name, a->name_len);
        a = (struct pl_assign *)((char *)a + a->bytes);
    }
    publish(dir, r);
    unlock(&dir->lock);
    return r;
}
static void void_entries(struct pl_record *r) {
    if (!r) return;
    r->flags |= PL_VOID;
    release_refs(r);
}
/* keep a file reachable after its name goes */
static void keep_link(struct place *p, uint64_t ino) {
    char to[4200];
    journal_path(to, ino);
    long r = RAW(SYS_linkat, p->parent, p->name, AT_FDCWD, to, 0, 0);
    if (r && r != -EEXIST) die("cannot link a file into the journal folder (must be the same file system)", p->name);
}
static void created(struct place *p, struct pl_record *r, uint64_t ino, int is_dir) {
    struct pl_slot *s = get_slot(ino, is_dir ? PL_DIR : PL_FILE);
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    s->parent_ino = p->dir->ino;
    s->create_seq = r->seq;
    __atomic_store_n(&((struct pl_assign *)(r + 1))->new_ino, ino, __ATOMIC_RELEASE);
}
/* mkdir, mknod, symlink and link: `c` already names the place by its parent descriptor */
static long create_entry(struct call *c, struct place *p) {
    struct stat st;
    lock(&head->ns_lock);
    long result;
    if (raw_lstatat(p->parent, p->name, &st) == 0) {
        result = pass(c); /* EEXIST, in the kernel's words */
    } else {
        struct change ch = {p->name, 0, PL_UNKNOWN};
        struct pl_record *r = save_entries(p->dir, &ch, 1);
        result = pass(c);
        if (result == 0 && raw_lstatat(p->parent, p->name, &st) == 0)
            created(p, r, st.st_ino, S_ISDIR(st.st_mode));
        else
            void_entries(r);
    }
    unlock(&head->ns_lock);
    return result;
}
static int dir_is_empty(int parent, const char *name) {
    char buf[1024];
    int fd = (int)RAW(SYS_openat, parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0, 0, 0), empty = 1;
    if (fd < 0) return 0;
    for (long n; empty && (n = RAW(SYS_getdents64, fd, buf, sizeof buf, 0, 0, 0)) > 0;)
        for (long at = 0; at < n;) {
            unsigned short len;
            memcpy(&len, buf + at + 16, 2);
            const char *d = buf + at + 19;
            if (strcmp(d, ".") && strcmp(d, "..")) empty = 0;
            at += len;
        }
    RAW(SYS_close, fd, 0, 0, 0, 0, 0);
    return empty;
}
static void park_dir(struct place *p, uint64_t ino) {
    char to[4200];
    journal_path(to, ino);
    if (RAW(SYS_renameat, p->parent, p->name, AT_FDCWD, to, 0, 0)) die("cannot move a removed folder into the journal folder", p->name);
}
static long remove_entry(struct call *c, struct place *p, int want_dir) {
    struct stat st;
    long result;
    lock(&head->ns_lock);
    if (raw_lstatat(p->parent, p->name, &st) || S_ISDIR(st.st_mode) != want_dir ||
        (want_dir && !dir_is_empty(p->parent, p->name))) {
        result = pass(c); /* fails, in the kernel's words */
    } else {
        struct change ch = {p->name, st.st_ino, 0};
        hold(st.st_ino, want_dir);
        if (!want_dir) keep_link(p, st.st_ino);
        struct pl_record *r = save_entries(p->dir, &ch, 1);
        if (want_dir) {
            park_dir(p, st.st_ino);
            result = 0;
        } else if ((result = pass(c))) {
            void_entries(r);
        }
    }
    unlock(&head->ns_lock);
    return result;
}
static long do_rename(struct call *c, int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    struct place a, b;
    struct stat sa, sb;
    int ta = locate(from_fd, from, &a), tb = locate(to_fd, to, &b);
    if (!ta && !tb) return pass(c);
    long result;
    struct pl_record *ra = 0, *rb = 0;
    uint64_t mask = block_signals();
    lock(&head->ns_lock);
    long ea = ta ? raw_lstatat(a.parent, a.name, &sa) : raw_lstatat(from_fd, from, &sa);
    long eb = tb ? raw_lstatat(b.parent, b.name, &sb) : raw_lstatat(to_fd, to, &sb);
    int exchange = (flags & RENAME_EXCHANGE) != 0;
    if (flags & RENAME_WHITEOUT) {
        result = -EINVAL;
    } else if (ea || (!eb && (flags & RENAME_NOREPLACE)) || (eb && exchange) || (!eb && sa.st_ino == sb.st_ino) ||
               (!eb && !exchange && S_ISDIR(sa.st_mode) != S_ISDIR(sb.st_mode)) ||
               (!eb && !exchange && S_ISDIR(sb.st_mode) && tb && !dir_is_empty(b.parent, b.name))) {
        result = pass(c); /* fails or does nothing */
    } else {
        uint64_t old_to = eb ? 0 : sb.st_ino, new_from = exchange ? old_to : 0;
        int da = S_ISDIR(sa.st_mode), db = !eb && S_ISDIR(sb.st_mode);
        struct change ca = {a.name, sa.st_ino, new_from}, cb = {b.name, old_to, sa.st_ino};
        if (ta) {
            hold(sa.st_ino, da);
            hold(new_from, db);
            if (!da) keep_link(&a, sa.st_ino);
        }
        if (tb) {
            hold(old_to, db);
            hold(sa.st_ino, da);
            if (old_to && !db) keep_link(&b, old_to);
        }
        if (ta && tb && a.dir == b.dir) {
            struct change both[2] = {ca, cb};
            ra = save_entries(a.dir, both, 2);
        } else {
            if (tb) rb = save_entries(b.dir, &cb, 1);
            if (ta) ra = save_entries(a.dir, &ca, 1);
        }
        if (db && tb && !exchange) park_dir(&b, sb.st_ino);
        result = pass(c);
        if (result) {
            if (db && tb && !exchange) die("a rename over an empty folder failed half-way", b.name);
            void_entries(ra);
            void_entries(rb);
        }
    }
    unlock(&head->ns_lock);
    restore_signals(mask);
    leave(&a);
    leave(&b);
    return result;
}
/* open for writing something that exists (or fails): the truncation is ours, and old bytes must be readable */
static long open_existing(int dirfd, const char *path, long flags, long mode) {
    char real[4096];
    struct stat st;
    long plain = RAW(SYS_openat, dirfd, path, O_PATH | O_CLOEXEC | (flags & O_NOFOLLOW), 0, 0, 0);
    int ours = 0;
    if (plain >= 0) {
        ours = raw_fstat((int)plain, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == head->root_dev &&
               (find_slot(st.st_ino) || (fd_below_root((int)plain, real) && !untracked_name(real)));
        RAW(SYS_close, plain, 0, 0, 0, 0, 0);
    }
    if (!ours) return RAW(SYS_openat, dirfd, path, flags, mode, 0, 0);
    long f = flags & ~(O_TRUNC | (long)O_DIRECT);
    if ((f & O_ACCMODE) == O_WRONLY) f = (f & ~O_ACCMODE) | O_RDWR;
    long fd = RAW(SYS_openat, dirfd, path, f, mode, 0, 0);
    if (fd >= 0 && (flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY && raw_fstat((int)fd, &st) == 0 && st.st_size) {
        struct call t = {SYS_ftruncate, {fd, 0}};
        long r = do_resize(&t, (int)fd, 0, 0, 0, 0);
        if (r) {
            RAW(SYS_close, fd, 0, 0, 0, 0, 0);
            return r;
        }
    }
    return fd;
}
static long do_open(int dirfd, const char *path, long flags, long mode) {
    if ((flags & O_PATH)) return RAW(SYS_openat, dirfd, path, flags, mode, 0, 0);
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        char real[4096];
        long fd = RAW(SYS_openat, dirfd, path, O_PATH | O_CLOEXEC, 0, 0, 0);
        int ours = fd >= 0 && fd_below_root((int)fd, real);
        if (fd >= 0) RAW(SYS_close, fd, 0, 0, 0, 0, 0);
        return ours ? -EOPNOTSUPP : RAW(SYS_openat, dirfd, path, flags, mode, 0, 0);
    }
    if (!(flags & O_CREAT)) return open_existing(dirfd, path, flags, mode);
    struct place p;
    struct stat st;
    if (!locate(dirfd, path, &p)) return open_existing(dirfd, path, flags, mode);
    uint64_t mask = block_signals();
    lock(&head->ns_lock);
    long fd;
    if (raw_lstatat(p.parent, p.name, &st) == 0) {
        if (flags & O_EXCL) {
            fd = -EEXIST;
        } else {
            fd = open_existing(p.parent, p.name, flags & ~(long)O_CREAT, mode);
            if (fd == -ENOENT && S_ISLNK(st.st_mode)) die("creation through a dangling symbolic link is not tracked", path);
        }
    } else {
        struct change ch = {p.name, 0, PL_UNKNOWN};
        struct pl_record *r = save_entries(p.dir, &ch, 1);
        long f = flags & ~(long)O_DIRECT;
        if ((f & O_ACCMODE) == O_WRONLY) f = (f & ~O_ACCMODE) | O_RDWR;
        fd = RAW(SYS_openat, p.parent, p.name, f, mode, 0, 0);
        if (fd >= 0 && raw_fstat((int)fd, &st) == 0)
            created(&p, r, st.st_ino, 0);
        else
            void_entries(r);
    }
    unlock(&head->ns_lock);
    restore_signals(mask);
    leave(&p);
    return fd;
}
static long named(struct call *c, int dirfd, const char *path, struct call at) {
    struct place p;
    if (!locate(dirfd, path, &p)) return pass(c);
    uint64_t mask = block_signals();
    int want_dir = at.nr == SYS_unlinkat && (at.a[2] & AT_REMOVEDIR);
    int slot = at.nr == SYS_linkat ? 2 : at.nr == SYS_symlinkat ? 1 : 0;
    at.a[slot] = p.parent;
    at.a[slot + 1] = (long)p.name;
    long r = at.nr == SYS_unlinkat ? remove_entry(&at, &p, want_dir) : create_entry(&at, &p);
    restore_signals(mask);
    leave(&p);
    return r;
}

/* ---- the handler ---- */

static long dispatch(struct call *c, ucontext_t *uc) {
    long *a = c->a;
    struct stat st;
    switch (c->nr) {
    case SYS_write: return do_write(c, (int)a[0], (uint64_t)a[2], -1, 0);
    case SYS_pwrite64: return do_write(c, (int)a[0], (uint64_t)a[2], a[3], 0);
    case SYS_writev: return do_write(c, (int)a[0], iov_len((void *)a[1], a[2]), -1, 0);
    case SYS_pwritev: return do_write(c, (int)a[0], iov_len((void *)a[1], a[2]), a[3], 0);
    case SYS_pwritev2: return do_write(c, (int)a[0], iov_len((void *)a[1], a[2]), a[3], a[5]);
    case SYS_copy_file_range: return do_copy(c, (int)a[2], (int64_t *)a[3], 4);
    case SYS_sendfile: return do_copy(c, (int)a[0], 0, 3);
    case SYS_splice: return tracked_file((int)a[2], &st) ? -EINVAL : pass(c);
    case SYS_ftruncate: return do_resize(c, (int)a[0], (uint64_t)a[1], 0, 0, 0);
    case SYS_truncate: {
        long fd = open_existing(AT_FDCWD, (const char *)a[0], O_WRONLY | O_CLOEXEC, 0);
        if (fd < 0) return fd;
        struct call t = {SYS_ftruncate, {fd, a[1]}};
        long r = do_resize(&t, (int)fd, (uint64_t)a[1], 0, 0, 0);
        RAW(SYS_close, fd, 0, 0, 0, 0, 0);
        return r;
    }
    case SYS_fallocate: return do_fallocate(c);
    case SYS_fsync:
    case SYS_fdatasync: return do_fsync(c);
    case SYS_sync:
    case SYS_syncfs: return do_sync_all(c);
    case SYS_open: return do_open(AT_FDCWD, (const char *)a[0], a[1], a[2]);
    case SYS_creat: return do_open(AT_FDCWD, (const char *)a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1]);
    case SYS_openat: return do_open((int)a[0], (const char *)a[1], a[2], a[3]);
    case SYS_openat2: return -ENOSYS;
    case SYS_mkdir: return named(c, AT_FDCWD, (char *)a[0], (struct call){SYS_mkdirat, {0, 0, a[1]}});
    case SYS_mkdirat: return named(c, (int)a[0], (char *)a[1], (struct call){SYS_mkdirat, {0, 0, a[2]}});
    case SYS_mknod: return named(c, AT_FDCWD, (char *)a[0], (struct call){SYS_mknodat, {0, 0, a[1], a[2]}});
    case SYS_mknodat: return named(c, (int)a[0], (char *)a[1], (struct call){SYS_mknodat, {0, 0, a[2], a[3]}});
    case SYS_symlink: return named(c, AT_FDCWD, (char *)a[1], (struct call){SYS_symlinkat, {a[0], 0, 0}});
    case SYS_symlinkat: return named(c, (int)a[1], (char *)a[2], (struct call){SYS_symlinkat, {a[0], 0, 0}});
    case SYS_link: return named(c, AT_FDCWD, (char *)a[1], (struct call){SYS_linkat, {AT_FDCWD, a[0], 0, 0, 0}});
    case SYS_linkat: return named(c, (int)a[2], (char *)a[3], (struct call){SYS_linkat, {a[0], a[1], 0, 0, a[4]}});
    case SYS_unlink: return named(c, AT_FDCWD, (char *)a[0], (struct call){SYS_unlinkat, {0, 0, 0}});
    case SYS_rmdir: return named(c, AT_FDCWD, (char *)a[0], (struct call){SYS_unlinkat, {0, 0, AT_REMOVEDIR}});
    case SYS_unlinkat: return named(c, (int)a[0], (char *)a[1], (struct call){SYS_unlinkat, {0, 0, a[2]}});
    case SYS_rename: return do_rename(c, AT_FDCWD, (char *)a[0], AT_FDCWD, (char *)a[1], 0);
    case SYS_renameat: return do_rename(c, (int)a[0], (char *)a[1], (int)a[2], (char *)a[3], 0);
    case SYS_renameat2: return do_rename(c, (int)a[0], (char *)a[1], (int)a[2], (char *)a[3], (unsigned)a[4]);
    case SYS_mmap:
        if (tracked_file((int)a[4], &st)) {
            char path[4096];
            die("a shared writable mapping cannot be tracked", fd_below_root((int)a[4], path) ? path : "(file)");
        }
        return pass(c);
    case SYS_rt_sigaction: { /* the application may not take SIGSYS away, nor block it inside its handlers */
        struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } act;
        if (a[0] == SIGSYS) return 0;
        memcpy(&act, (void *)a[1], sizeof act);
        act.mask &= ~(1ULL << (SIGSYS - 1));
        return RAW(SYS_rt_sigaction, a[0], &act, a[2], a[3], 0, 0);
    }
    case SYS_rt_sigprocmask: { /* the handler's return restores the mask, so it is changed there */
        uint64_t set, old, now;
        if (a[3] != KERNEL_SIGSET) return -EINVAL;
        memcpy(&set, (void *)a[1], 8);
        memcpy(&old, &uc->uc_sigmask, 8);
        now = a[0] == SIG_BLOCK ? old | set : a[0] == SIG_UNBLOCK ? old & ~set : set;
        if (a[0] != SIG_BLOCK && a[0] != SIG_UNBLOCK && a[0] != SIG_SETMASK) return -EINVAL;
        now &= ~(1ULL << (SIGSYS - 1));
        memcpy(&uc->uc_sigmask, &now, 8);
        if (a[2]) memcpy((void *)a[2], &old, 8);
        return 0;
    }
    default: return pass(c);
    }
}
static void on_sigsys(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    (void)sig;
    if (info->si_code != 1 /* SYS_SECCOMP */) return;
    struct call c = {info->si_syscall, {g[REG_RDI], g[REG_RSI], g[REG_RDX], g[REG_R10], g[REG_R8], g[REG_R9]}};
    g[REG_RAX] = dispatch(&c, uc);
}

/* ---- start ---- */

#define KERNEL_SA_RESTORER 0x04000000UL
void return_from_signal(void) __attribute__((visibility("hidden")));
__asm__(".text\n.hidden return_from_signal\nreturn_from_signal:\n\tmov $15, %eax\n\tsyscall\n");

#define STMT(code, k) filter[n++] = (struct sock_filter)BPF_STMT(code, k)
#define JUMP(code, k, t, f) filter[n++] = (struct sock_filter)BPF_JUMP(code, k, t, f)
#define LOAD(field) STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(field))
#define ARG(i) (offsetof(struct seccomp_data, args) + 8 * (i))
#define TRAP STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
#define ALLOW STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void install_filter(void) {
    static const int always[] = {SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2, SYS_copy_file_range,
        SYS_sendfile, SYS_splice, SYS_ftruncate, SYS_truncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_sync,
        SYS_syncfs, SYS_creat, SYS_openat2, SYS_mkdir, SYS_mkdirat, SYS_mknod, SYS_mknodat, SYS_symlink, SYS_symlinkat,
        SYS_link, SYS_linkat, SYS_unlink, SYS_rmdir, SYS_unlinkat, SYS_rename, SYS_renameat, SYS_renameat2};
    static const int absent[] = {SYS_io_uring_setup, SYS_io_setup};
    struct sock_filter filter[256];
    int n = 0;
    LOAD(offsetof(struct seccomp_data, arch));
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4);
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(AFTER_SYSCALL >> 32), 0, 3);
    LOAD(offsetof(struct seccomp_data, instruction_pointer));
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)AFTER_SYSCALL, 0, 1);
    ALLOW;
    LOAD(offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < sizeof always / sizeof *always; i++) {
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)always[i], 0, 1);
        TRAP;
    }
    for (unsigned i = 0; i < sizeof absent / sizeof *absent; i++) {
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)absent[i], 0, 1);
        STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    }
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROBE_NR, 0, 1);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | PROBE_ERRNO);
    for (int i = 0; i < 2; i++) { /* open and openat: only if something may change */
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, i ? SYS_openat : SYS_open, 0, 4);
        LOAD(ARG(1 + i));
        JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT | O_TRUNC | O_WRONLY | O_RDWR, 0, 1);
        TRAP;
        ALLOW;
    }
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 8); /* shared, writable, of a file */
    LOAD(ARG(2));
    JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_WRITE, 0, 5);
    LOAD(ARG(3));
    JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 3, 0);
    JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 0, 2);
    TRAP;
    ALLOW;
    ALLOW;
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5);
    LOAD(ARG(1));
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)FICLONE, 1, 0);
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)FICLONERANGE, 0, 1);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP);
    ALLOW;
    for (int i = 0; i < 2; i++) { /* signal calls: only if they set something (64-bit pointer not null) */
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, i ? SYS_rt_sigprocmask : SYS_rt_sigaction, 0, 6);
        LOAD(ARG(1));
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
        LOAD(ARG(1) + 4);
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        TRAP;
        ALLOW;
    }
    ALLOW;
    struct sock_fprog prog = {(unsigned short)n, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("cannot set no_new_privs", 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog))
        die("cannot install the seccomp filter: this machine does not allow it", 0);
}

__attribute__((constructor)) static void start(void) {
    const char *r = getenv("LUOPAN_POWERLOSS_ROOT"), *j = getenv("LUOPAN_POWERLOSS_JOURNAL");
    const char *create = getenv("LUOPAN_POWERLOSS_CREATE"), *gib = getenv("LUOPAN_POWERLOSS_ARENA_GIB");
    int filtered = syscall(PROBE_NR) == -1 && errno == PROBE_ERRNO;
    if (mmap((void *)TRAMPOLINE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) !=
        (void *)TRAMPOLINE) {
        static const char m[] = "powerloss shim: the trampoline's address is taken\n";
        if (write(2, m, sizeof m - 1) < 0) _exit(134);
        _exit(134);
    }
    memcpy((void *)TRAMPOLINE, trampoline_code, sizeof trampoline_code);
    mprotect((void *)TRAMPOLINE, 4096, PROT_READ | PROT_EXEC);
    /* through the trampoline: over exec the filter is inherited and the handler is not */
    struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } act = {
        on_sigsys, SA_SIGINFO | SA_NODEFER | SA_RESTART | KERNEL_SA_RESTORER, return_from_signal, 0};
    RAW(SYS_rt_sigaction, SIGSYS, &act, 0, KERNEL_SIGSET, 0, 0);
    if (!r || !j) {
        if (filtered) die("the filter is inherited but LUOPAN_POWERLOSS_ROOT or _JOURNAL is gone", 0);
        return;
    }
    if (create && strcmp(create, "strict") && strcmp(create, "with-file"))
        die("LUOPAN_POWERLOSS_CREATE must be `strict` or `with-file`", create);
    with_file = create && !strcmp(create, "with-file");
    if (!realpath(r, root)) die("LUOPAN_POWERLOSS_ROOT must be an existing folder", r);
    root_len = strlen(root);
    char sub[4200];
    struct stat st, sj;
    RAW(SYS_mkdir, j, 0755, 0, 0, 0, 0);
    if (!realpath(j, journal)) die("LUOPAN_POWERLOSS_JOURNAL cannot be made", j);
    if (!strncmp(journal, root, root_len) && (journal[root_len] == '/' || !journal[root_len]))
        die("the journal folder must lie outside the root", journal);
    put_str(put_str(sub, journal), "/i");
    RAW(SYS_mkdir, sub, 0755, 0, 0, 0, 0);
    if (stat(root, &st) || stat(sub, &sj) || st.st_dev != sj.st_dev)
        die("the journal folder must be on the root's file system", journal);
    put_str(put_str(sub, journal), "/arena");
    int fd = (int)RAW(SYS_openat, AT_FDCWD, sub, O_RDWR | O_CREAT | O_CLOEXEC, 0644, 0, 0);
    if (fd < 0) die("cannot open the undo arena", sub);
    RAW(SYS_flock, fd, LOCK_EX, 0, 0, 0, 0);
    uint64_t bytes = (gib ? strtoull(gib, 0, 10) : 32) << 30;
    fstat(fd, &sj);
    if (sj.st_size) bytes = (uint64_t)sj.st_size;
    else if (RAW(SYS_ftruncate, fd, bytes, 0, 0, 0, 0)) die("cannot size the undo arena", sub);
    long map = RAW(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map < 0 && map > -4096) die("cannot map the undo arena", sub);
    arena = (char *)map;
    head = (struct pl_header *)arena;
    slots = (struct pl_slot *)(arena + PL_UNIT);
    if (head->magic != PL_MAGIC) {
        head->version = PL_VERSION;
        head->arena_bytes = bytes;
        head->slots_off = PL_UNIT;
        head->bump = (PL_UNIT + sizeof(struct pl_slot) * PL_SLOTS + PL_UNIT - 1) / PL_UNIT * PL_UNIT;
        head->root_dev = st.st_dev;
        head->root_ino = st.st_ino;
        strcpy(head->root, root);
        __atomic_store_n(&head->magic, PL_MAGIC, __ATOMIC_RELEASE);
    } else if (strcmp(head->root, root) || head->root_ino != st.st_ino || head->version != PL_VERSION) {
        die("the journal folder belongs to another root", head->root);
    }
    RAW(SYS_flock, fd, LOCK_UN, 0, 0, 0, 0); /* the mapping would keep it beyond the close */
    RAW(SYS_close, fd, 0, 0, 0, 0, 0);
    if (!filtered) install_filter();
}
