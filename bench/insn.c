/* Counts the instructions that a program under qemu-user executes, and prints them at its end.
   The few functions of QEMU's plugin interface that it needs are declared here: not every system
   that has qemu-user has its header. VERSION: 1 up to QEMU 8, 2 from 9 on. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef uint64_t id_t_;
struct qemu_plugin_tb;

void qemu_plugin_register_vcpu_tb_trans_cb(id_t_, void (*)(id_t_, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int,
                                          void *);
void qemu_plugin_register_atexit_cb(id_t_, void (*)(id_t_, void *), void *);

__attribute__((visibility("default"))) int qemu_plugin_version = VERSION;

static uint64_t count;

static void executed(unsigned cpu, void *instructions)
{
    (void)cpu;
    __atomic_fetch_add(&count, (uintptr_t)instructions, __ATOMIC_RELAXED);
}

static void translated(id_t_ id, struct qemu_plugin_tb *block)
{
    (void)id;
    uintptr_t instructions = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, (void *)instructions);
}

static void ended(id_t_ id, void *nothing)
{
    (void)id, (void)nothing;
    const char *path = getenv("INSN_FILE");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%llu\n", (unsigned long long)count);
        fclose(file);
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(id_t_ id, const void *info, int argc,
                                                               char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
