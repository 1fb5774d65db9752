/* Calls that change what a folder holds, and opening. All under one lock, so that an fsync of a folder
 * covers only changes that have returned.
 * Part of powerloss.c and of nothing else: it is included there, once, in order. */

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
