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

#include "tools.h"
#include "records.h"
#include "files.h"
#include "names.h"

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
