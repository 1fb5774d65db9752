/* Makes a folder look as it would after a power loss, from what `powerloss.c` recorded before the process was killed.
 * Run it only when every process under the shim is dead. It must never guess: what it cannot restore it reports, exit 3.
 *
 *   powerloss-apply [--mode drop-all|keep-prefix|keep-random] [--seed N] JOURNAL
 *
 *   drop-all     nothing that was not made durable survives
 *   keep-prefix  of each file's (folder's) unsynced changes a random prefix survives; the write after it may be torn
 *   keep-random  each unsynced change survives or not, on its own; kept writes may miss random 512-byte sectors
 *
 * Prints one line of `name=value` counts and removes the journal's contents: the next run starts from a durable state.
 */
#define _GNU_SOURCE
#include "layout.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum mode { DROP_ALL, KEEP_PREFIX, KEEP_RANDOM };
static enum mode mode = DROP_ALL;
static uint64_t rng_state;
static char *arena, *journal;
static struct pl_header *head;
static struct {
    uint64_t files, dropped, kept, torn, bytes_dropped, entries_undone, entries_kept, shm, lost, folders;
} count;

static void fail(const char *what, const char *path) {
    fprintf(stderr, "powerloss-apply: %s: %s: %s\n", what, path, strerror(errno));
    exit(2);
}
static void *grow(void *p, size_t n) {
    p = realloc(p, n);
    if (!p) fail("out of memory", "");
    return p;
}
static char *join(const char *a, const char *b) {
    char *p = grow(0, strlen(a) + strlen(b) + 2);
    sprintf(p, "%s/%s", a, b);
    return p;
}
static uint64_t rng(void) { /* splitmix64, Steele et al. 2014 */
    uint64_t z = rng_state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}
static uint64_t below(uint64_t n) { return n ? rng() % n : 0; }

/* ---- the tree as it stands: inodes, where they lie, and each folder's map ---- */

struct entry {
    char *name;
    uint64_t ino; /* 0: gone */
};
struct node {
    uint64_t ino;
    int is_dir, placed;
    mode_t perm;
    char *path; /* one place where it can be reached now; null: nowhere */
    struct entry *entries;
    size_t n;
};
static struct node **table;
static size_t table_cap, table_n;

static struct node *node_of(uint64_t ino, int make) {
    if (table_n * 2 >= table_cap) {
        size_t old = table_cap;
        struct node **was = table;
        table_cap = old ? old * 2 : 1024;
        table = calloc(table_cap, sizeof *table);
        if (!table) fail("out of memory", "");
        for (size_t i = 0; i < old; i++)
            if (was[i]) {
                size_t at = was[i]->ino * 0x9e3779b97f4a7c15ULL % table_cap;
                while (table[at]) at = (at + 1) % table_cap;
                table[at] = was[i];
            }
        free(was);
    }
    size_t at = ino * 0x9e3779b97f4a7c15ULL % table_cap;
    for (; table[at]; at = (at + 1) % table_cap)
        if (table[at]->ino == ino) return table[at];
    if (!make) return 0;
    struct node *n = calloc(1, sizeof *n);
    if (!n) fail("out of memory", "");
    n->ino = ino;
    table[at] = n;
    table_n++;
    return n;
}
static void set_entry(struct node *dir, const char *name, size_t len, uint64_t ino) {
    for (size_t i = 0; i < dir->n; i++)
        if (strlen(dir->entries[i].name) == len && !memcmp(dir->entries[i].name, name, len)) {
            dir->entries[i].ino = ino;
            return;
        }
    dir->entries = grow(dir->entries, (dir->n + 1) * sizeof *dir->entries);
    dir->entries[dir->n++] = (struct entry){strndup(name, len), ino};
}
static int is_shm(const char *name) {
    size_t n = strlen(name);
    return n >= 4 && !strcmp(name + n - 4, "-shm");
}
static struct node *scan(const char *path) {
    struct stat st;
    if (lstat(path, &st)) fail("cannot look at", path);
    struct node *node = node_of(st.st_ino, 1);
    if (!node->path) node->path = strdup(path);
    node->is_dir = S_ISDIR(st.st_mode);
    node->perm = st.st_mode & 07777;
    if (!node->is_dir) return node;
    DIR *d = opendir(path);
    if (!d) fail("cannot list", path);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (is_shm(e->d_name)) {
            count.shm++;
            continue;
        }
        char *p = join(path, e->d_name);
        struct node *child = scan(p);
        node->entries = grow(node->entries, (node->n + 1) * sizeof *node->entries);
        node->entries[node->n++] = (struct entry){strdup(e->d_name), child->ino};
        free(p);
    }
    closedir(d);
    return node;
}

/* ---- records ---- */

struct plan {
    struct pl_record *r;
    int keep;
    uint64_t torn_to; /* keep-prefix: bytes of the last kept write that reached the disk */
    char *data;       /* new bytes of a kept write */
    uint64_t data_len;
};
static struct plan *pending(struct pl_slot *s, size_t *n) {
    struct plan *out = 0;
    *n = 0;
    for (uint64_t at = s->head; at;) {
        struct pl_chunk *c = (struct pl_chunk *)(arena + at);
        char *p = (char *)(c + 1), *end = p + c->used;
        for (; p < end; p += ((struct pl_record *)p)->bytes) {
            struct pl_record *r = (struct pl_record *)p;
            if (r->magic != PL_RECORD_MAGIC || r->bytes < sizeof *r) {
                fprintf(stderr, "powerloss-apply: the undo arena is damaged\n");
                exit(2);
            }
            if (r->seq <= s->durable_seq || r->flags & PL_VOID) continue;
            out = grow(out, (*n + 1) * sizeof *out);
            out[(*n)++] = (struct plan){.r = r, .torn_to = ~0ULL};
        }
        at = c->next;
    }
    size_t prefix = mode == KEEP_PREFIX ? below(*n + 1) : 0;
    for (size_t i = 0; i < *n; i++) {
        struct plan *p = &out[i];
        if (p->r->flags & PL_SYNCED) p->keep = 1;
        else if (mode == KEEP_RANDOM) p->keep = rng() & 1;
        else if (mode == KEEP_PREFIX && i < prefix) p->keep = 1;
        else if (mode == KEEP_PREFIX && i == prefix && p->r->type == PL_WRITE && rng() & 1) {
            p->keep = 1;
            p->torn_to = 0; /* chosen when the length is known */
        }
    }
    return out;
}
static void write_all(int fd, const char *b, uint64_t n, uint64_t off, const char *path) {
    while (n) {
        ssize_t w = pwrite(fd, b, n, (off_t)off);
        if (w <= 0) fail("cannot write", path);
        b += w, n -= (uint64_t)w, off += (uint64_t)w;
    }
}
static void write_zeros(int fd, uint64_t from, uint64_t to, const char *path) {
    static const char zeros[65536];
    for (; from < to; from += sizeof zeros < to - from ? sizeof zeros : to - from)
        write_all(fd, zeros, sizeof zeros < to - from ? sizeof zeros : to - from, from, path);
}
static void undo_file(struct pl_slot *s) {
    size_t n;
    struct plan *plan = pending(s, &n);
    if (!n) return;
    struct node *node = node_of(s->ino, 0);
    if (!node || !node->path) {
        count.lost++;
        fprintf(stderr, "powerloss-apply: inode %llu has unsynced writes and lies nowhere\n", (unsigned long long)s->ino);
        return;
    }
    int fd = open(node->path, O_RDWR);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) fail("cannot open", node->path);
    count.files++;
    for (size_t i = n; i-- > 0;) { /* newest first: take what a kept write wrote, then put the old state back */
        struct plan *p = &plan[i];
        struct pl_record *r = p->r;
        fstat(fd, &st);
        uint64_t size = (uint64_t)st.st_size;
        if (r->type == PL_WRITE) {
            uint64_t len = r->done ? r->done : r->len;
            if (r->off >= size) len = 0;
            else if (len > size - r->off) len = size - r->off;
            if (p->keep) {
                p->data = grow(0, len + 1);
                p->data_len = len;
                if (len && pread(fd, p->data, len, (off_t)r->off) != (ssize_t)len) fail("cannot read", node->path);
            }
            uint64_t end = r->off + r->len < r->old_size ? r->off + r->len : r->old_size;
            write_all(fd, (char *)(r + 1), r->old_len, r->off, node->path);
            if (r->off + r->old_len < end) write_zeros(fd, r->off + r->old_len, end, node->path);
            if (ftruncate(fd, (off_t)r->old_size)) fail("cannot truncate", node->path);
        } else {
            if (ftruncate(fd, (off_t)r->old_size)) fail("cannot truncate", node->path);
            write_all(fd, (char *)(r + 1), r->old_len, r->off, node->path);
        }
    }
    for (size_t i = 0; i < n; i++) {
        struct plan *p = &plan[i];
        struct pl_record *r = p->r;
        uint64_t len = r->done ? r->done : r->len;
        if (!p->keep) {
            count.dropped++;
            if (r->type == PL_WRITE) count.bytes_dropped += len;
            continue;
        }
        if (!(r->flags & PL_SYNCED)) count.kept++;
        if (r->type == PL_RESIZE) {
            if (ftruncate(fd, (off_t)r->off)) fail("cannot truncate", node->path);
            continue;
        }
        if (p->torn_to == 0) {
            p->data_len = below(p->data_len);
            count.torn++;
            count.bytes_dropped += len - p->data_len;
        }
        if (mode == KEEP_RANDOM && !(r->flags & PL_SYNCED) && below(4) == 0) { /* sectors of this write lost */
            uint64_t at = r->off, end = r->off + p->data_len;
            int lost = 0;
            while (at < end) {
                uint64_t stop = (at / 512 + 1) * 512 < end ? (at / 512 + 1) * 512 : end;
                if (rng() & 1) write_all(fd, p->data + (at - r->off), stop - at, at, node->path);
                else count.bytes_dropped += stop - at, lost = 1;
                at = stop;
            }
            count.torn += (uint64_t)lost;
        } else {
            write_all(fd, p->data, p->data_len, r->off, node->path);
        }
        free(p->data);
    }
    if (close(fd)) fail("cannot close", node->path);
    free(plan);
}
static void undo_dir(struct pl_slot *s) {
    size_t n;
    struct plan *plan = pending(s, &n);
    if (!n) return;
    struct node *dir = node_of(s->ino, 0);
    if (!dir || !dir->is_dir) { /* created and removed for good since: nothing durable names it */
        free(plan);
        return;
    }
    count.folders++;
    for (size_t i = n; i-- > 0;) {
        struct pl_record *r = plan[i].r;
        struct pl_assign *a = (struct pl_assign *)(r + 1), *all[8];
        for (uint64_t k = 0; k < r->len && k < 8; k++, a = (struct pl_assign *)((char *)a + a->bytes)) all[k] = a;
        for (uint64_t k = r->len; k-- > 0;) set_entry(dir, all[k]->name, all[k]->name_len, all[k]->old_ino);
    }
    for (size_t i = 0; i < n; i++) {
        struct pl_record *r = plan[i].r;
        struct pl_assign *a = (struct pl_assign *)(r + 1);
        if (a->new_ino == PL_UNKNOWN) plan[i].keep = 0;
        if (!plan[i].keep) {
            count.entries_undone++;
            continue;
        }
        count.entries_kept++;
        for (uint64_t k = 0; k < r->len; k++, a = (struct pl_assign *)((char *)a + a->bytes))
            set_entry(dir, a->name, a->name_len, a->new_ino);
    }
    free(plan);
}
static void build(struct node *dir, const char *to) {
    dir->placed = 1;
    for (size_t i = 0; i < dir->n; i++) {
        struct entry *e = &dir->entries[i];
        if (!e->ino) continue;
        struct node *child = node_of(e->ino, 0);
        if (!child || !child->path) {
            count.lost++;
            fprintf(stderr, "powerloss-apply: %s/%s was durable and its inode %llu lies nowhere\n", to, e->name,
                    (unsigned long long)e->ino);
            continue;
        }
        char *p = join(to, e->name);
        if (!child->is_dir) {
            if (linkat(AT_FDCWD, child->path, AT_FDCWD, p, 0)) fail("cannot link", p);
        } else if (!child->placed) {
            if (mkdir(p, 0700)) fail("cannot make", p);
            build(child, p);
            if (chmod(p, child->perm)) fail("cannot set the mode of", p);
        }
        free(p);
    }
}
static void remove_below(const char *path) {
    DIR *d = opendir(path);
    if (!d) fail("cannot list", path);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char *p = join(path, e->d_name);
        struct stat st;
        if (lstat(p, &st)) fail("cannot look at", p);
        if (S_ISDIR(st.st_mode)) {
            remove_below(p);
            if (rmdir(p)) fail("cannot remove", p);
        } else if (unlink(p)) {
            fail("cannot remove", p);
        }
        free(p);
    }
    closedir(d);
}
static int by_ino(const void *a, const void *b) {
    uint64_t x = (*(struct pl_slot *const *)a)->ino, y = (*(struct pl_slot *const *)b)->ino;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    uint64_t seed = 1;
    const char *mode_name = "drop-all";
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--mode") && i + 1 < argc) mode_name = argv[++i];
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc) seed = strtoull(argv[++i], 0, 10);
        else if (!journal && argv[i][0] != '-') journal = argv[i];
        else journal = "";
    }
    if (!strcmp(mode_name, "keep-prefix")) mode = KEEP_PREFIX;
    else if (!strcmp(mode_name, "keep-random")) mode = KEEP_RANDOM;
    else if (strcmp(mode_name, "drop-all")) journal = "";
    if (!journal || !*journal) {
        fprintf(stderr, "usage: powerloss-apply [--mode drop-all|keep-prefix|keep-random] [--seed N] JOURNAL\n");
        return 1;
    }
    rng_state = seed;
    char *arena_path = join(journal, "arena"), *held = join(journal, "i"), *fresh = join(journal, "new");
    int fd = open(arena_path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) fail("no undo arena (did the process run under the shim?)", arena_path);
    arena = mmap(0, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (arena == MAP_FAILED) fail("cannot map", arena_path);
    close(fd);
    head = (struct pl_header *)arena;
    if (head->magic != PL_MAGIC || head->version != PL_VERSION) {
        fprintf(stderr, "powerloss-apply: %s is no undo arena of this version\n", arena_path);
        return 2;
    }
    struct pl_slot *slots = (struct pl_slot *)(arena + head->slots_off), **used = 0;
    size_t n = 0;
    for (size_t i = 0; i < PL_SLOTS; i++)
        if (slots[i].state == PL_USED) {
            used = grow(used, (n + 1) * sizeof *used);
            used[n++] = &slots[i];
        }
    qsort(used, n, sizeof *used, by_ino);
    struct node *root = scan(head->root);
    scan(held);
    for (size_t i = 0; i < n; i++)
        if (used[i]->kind == PL_FILE) undo_file(used[i]);
    for (size_t i = 0; i < n; i++)
        if (used[i]->kind == PL_DIR) undo_dir(used[i]);
    if (mkdir(fresh, 0700) && errno != EEXIST) fail("cannot make", fresh);
    remove_below(fresh);
    build(root, fresh);
    remove_below(head->root);
    DIR *d = opendir(fresh);
    if (!d) fail("cannot list", fresh);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char *from = join(fresh, e->d_name), *to = join(head->root, e->d_name);
        if (rename(from, to)) fail("cannot move", from);
        free(from), free(to);
    }
    closedir(d);
    remove_below(held);
    if (rmdir(held) || rmdir(fresh) || unlink(arena_path)) fail("cannot clear", journal);
    printf("powerloss mode=%s seed=%llu files=%llu writes_dropped=%llu writes_kept=%llu writes_torn=%llu bytes_dropped=%llu "
           "folders=%llu entries_undone=%llu entries_kept=%llu shm_removed=%llu lost=%llu\n",
           mode_name, (unsigned long long)seed, (unsigned long long)count.files, (unsigned long long)count.dropped,
           (unsigned long long)count.kept, (unsigned long long)count.torn, (unsigned long long)count.bytes_dropped,
           (unsigned long long)count.folders, (unsigned long long)count.entries_undone,
           (unsigned long long)count.entries_kept, (unsigned long long)count.shm, (unsigned long long)count.lost);
    return count.lost ? 3 : 0;
}
