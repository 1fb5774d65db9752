/* The arena of the power-loss shim: what `powerloss.c` writes while the process lives and what
 * `powerloss-apply.c` reads after its death. Both must agree on every byte here; nothing else may live here.
 *
 * The arena is one sparse file, mapped shared, so a store into it survives SIGKILL as soon as it is executed.
 * It holds a table of slots (one per inode) and chunks of records. Everything is published by ONE aligned store:
 *   record  -> chunk.used grows after the record is complete
 *   chunk   -> slot.head or the previous chunk's `next` is set after the chunk is initialised
 *   fsync   -> slot.durable_seq grows; records at or below it are void from then on, wherever they lie
 */
#ifndef LUOPAN_POWERLOSS_LAYOUT_H
#define LUOPAN_POWERLOSS_LAYOUT_H
#include <stdint.h>

#define PL_MAGIC 0x314c504e41504f4cULL
#define PL_RECORD_MAGIC 0x504c5243u
#define PL_VERSION 1u
#define PL_UNIT 65536ULL           /* chunk size and growth unit, bytes */
#define PL_SLOTS (1u << 18)        /* inodes tracked at once, at most */
#define PL_UNKNOWN (~0ULL)         /* new inode not known yet: killed inside the call that created it */

enum pl_kind { PL_FILE = 1, PL_DIR = 2 };
enum pl_state { PL_EMPTY = 0, PL_USED = 1, PL_TOMB = 2 };
enum pl_type { PL_WRITE = 1, PL_RESIZE = 2, PL_ENTRY = 3 };
enum pl_flag {
    PL_VOID = 1,   /* the call failed: nothing to undo, nothing to keep */
    PL_SYNCED = 2, /* this single operation is durable (O_DSYNC, RWF_DSYNC, creation under with-file) */
};

struct pl_record {
    uint32_t magic;
    uint32_t type;
    uint64_t bytes; /* whole record with payload, multiple of 8 */
    uint64_t seq;
    volatile uint64_t flags;
    uint64_t off;           /* write: offset; resize: new size */
    uint64_t len;           /* write: bytes asked for; entry: number of assignments */
    volatile uint64_t done; /* write: bytes the call wrote (0: killed inside the call) */
    uint64_t old_size;      /* file size before the operation */
    uint64_t old_len;       /* old bytes in the payload; further ones up to old_size were zero */
    uint64_t pad;
};

/* payload of PL_ENTRY, `len` times: directory[name] := new_ino, and it was old_ino (0: no entry) */
struct pl_assign {
    uint64_t old_ino;
    volatile uint64_t new_ino;
    uint32_t name_len;
    uint32_t bytes; /* this struct with name, multiple of 8 */
    char name[];
};

struct pl_chunk {
    uint64_t next; /* arena offset, 0: last */
    uint64_t cap;  /* bytes with this header */
    volatile uint64_t used; /* bytes of records after this header */
    uint64_t pad;
};

struct pl_slot {
    uint32_t state, kind;
    uint64_t ino;
    uint64_t next_seq;             /* the next record's number, from 1 */
    volatile uint64_t durable_seq; /* records up to here are durable */
    uint64_t head, last;           /* chunks */
    volatile uint32_t lock;
    uint32_t refs;                 /* pending directory records that name this inode */
    uint64_t parent_ino, create_seq;
    uint64_t sync_seq;             /* scratch of sync() and syncfs() */
    uint64_t pad[5];
};

struct pl_header {
    uint64_t magic;
    uint32_t version;
    volatile uint32_t ns_lock, alloc_lock, slot_lock;
    uint64_t arena_bytes, bump, free_head;
    uint64_t root_dev, root_ino;
    uint64_t slots_off;
    char root[4096];
};
#endif
