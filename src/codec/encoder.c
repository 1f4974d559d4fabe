/* encoder.c - lends encoders out: counts what a thread holds, and keeps a few for the next answer,
 * for making one costs as many page faults as compressing a small page costs time. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/encoder.h"
#include "base/assert.h"

enum { TYPES = 3 };

static _Thread_local struct {
    struct encoder *kept[TYPES];
    int kept_count[TYPES];
    size_t held_bytes;
} mine;

static struct encoder *take_kept(const struct encoder_type *type)
{
    struct encoder *e = mine.kept[type->slot];
    if (!e)
        return type->make();
    mine.kept[type->slot] = e->next;
    mine.kept_count[type->slot]--;
    return e;
}

struct encoder *encoder_take(const struct encoder_type *type, const struct encoder_plan *plan)
{
    ASSERT(type->slot < TYPES && plan->effort < ENCODER_EFFORTS);
    if (mine.held_bytes + type->memory_bytes > ENCODERS_MAX_BYTES)
        return NULL;
    struct encoder *e = take_kept(type);
    if (!e)
        return NULL;
    e->type = type;
    if (!type->begin(e, plan)) {
        type->free(e);
        return NULL;
    }
    mine.held_bytes += type->memory_bytes;
    return e;
}

void encoder_drop(struct encoder *e)
{
    const struct encoder_type *type = e->type;
    ASSERT(mine.held_bytes >= type->memory_bytes);
    mine.held_bytes -= type->memory_bytes;
    if (type->once || mine.kept_count[type->slot] == ENCODERS_KEPT) {
        type->free(e);
        return;
    }
    e->next = mine.kept[type->slot];
    mine.kept[type->slot] = e;
    mine.kept_count[type->slot]++;
}

enum err encoder_run(struct encoder *e, struct slice *in, enum encoder_op op,
                     struct encoder_out *out)
{
    ASSERT(out->room >= ENCODER_ROOM_MIN_BYTES);
    out->len = 0;
    out->done = false;
    return e->type->run(e, in, op, out);
}

size_t encoders_held_bytes(void)
{
    return mine.held_bytes;
}

void encoders_release(void)
{
    for (int slot = 0; slot < TYPES; slot++) {
        while (mine.kept[slot]) {
            struct encoder *e = mine.kept[slot];
            mine.kept[slot] = e->next;
            e->type->free(e);
        }
        mine.kept_count[slot] = 0;
    }
}
