/* sandbox_status.c - what holds for both processes, for /status. Facts are asked of the kernel, so
 * that the page does not say what was only meant. */
// SPDX-License-Identifier: Apache-2.0
#include "main/process_priv.h"
#include "tls/key_heap.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const capability_names[] = {
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
};

static json_t *capabilities_json(uint64_t set)
{
    json_t *all = json_array();
    for (unsigned cap = 0; cap < 64; cap++) {
        char number[16];
        const char *name = number;
        if (!(set >> cap & 1))
            continue;
        if (cap < COUNT_OF(capability_names))
            name = capability_names[cap];
        else
            snprintf(number, sizeof number, "%u", cap);
        json_array_append_new(all, json_string(name));
    }
    return all;
}

static json_t *facts_json(const struct sandbox_facts *f)
{
    json_t *o = json_object();
    json_object_set_new(o, "no_new_privs", json_boolean(f->no_new_privs));
    json_object_set_new(o, "capabilities", capabilities_json(f->capabilities));
    json_object_set_new(o, "seccomp", json_boolean(f->seccomp == 2));
    json_object_set_new(o, "dumpable", json_boolean(f->dumpable));
    return o;
}

static void set_error(json_t *o, const char *name, int error)
{
    if (error)
        json_object_set_new(o, name, json_string(strerror(error)));
}

json_t *process_sandbox_json(void *ctx)
{
    static const char *const modes[] = {"on", "log", "off"};
    const struct process *p = ctx;
    const struct sandbox *s = &p->sandbox;
    struct sandbox_facts own;
    sandbox_facts_read(&own);
    json_t *o = json_object();
    json_object_set_new(o, "mode", json_string(modes[s->mode]));
    json_object_set_new(o, "landlock", json_integer(s->landlock));
    set_error(o, "landlock_error", s->landlock_error);
    set_error(o, "seccomp_error", s->seccomp_error);
    json_object_set_new(o, "worker", facts_json(&own));
    json_object_set_new(o, "keys_locked", json_boolean(key_heap_locked()));
    if (p->supervised.keeper.known)
        json_object_set_new(o, "supervisor", facts_json(&p->supervised.keeper));
    return o;
}
