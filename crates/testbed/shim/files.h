/* Calls that change or sync the bytes and the size of a file. An undo record is whole before the call goes through.
 * Part of powerloss.c and of nothing else: it is included there, once, in order. */

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
