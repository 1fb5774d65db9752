/* Slots, chunks and undo records in the arena, and what becomes of them when something turns durable.
 * Part of powerloss.c and of nothing else: it is included there, once, in order. */

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
