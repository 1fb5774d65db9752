/* A planted fault: while the file named by LUOPAN_LIAR_SWITCH exists, fsync and fdatasync answer well and do nothing, as a
 * store that acknowledges before it syncs would. kill -9 alone can never notice; under the power-loss shim it must be noticed.
 * It replaces libc's symbols only: enough for the Rust standard library and SQLite. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int lying(void) {
    const char *name = getenv("LUOPAN_LIAR_SWITCH");
    return name && access(name, F_OK) == 0;
}
int fsync(int fd) { return lying() ? 0 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return lying() ? 0 : (int)syscall(SYS_fdatasync, fd); }
