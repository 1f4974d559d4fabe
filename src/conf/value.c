/* value.c - the typed values: sizes, times, rates, percents, counts, choices and flags.
 *
 * A value is digits, at most one fraction where the type has one, and a unit that stands in the
 * word. A bare number where a unit is due is refused instead of guessed. All arithmetic is
 * checked; what does not fit 63 bits is "too large". */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/num.h"
#include "conf/rows_priv.h"
#include <inttypes.h>

struct unit {
    struct slice name;
    int64_t factor;
};

static const struct unit time_units[] = {
    /* largest first: conf_value_write() takes the first */
    {SLICE_INIT("d"), 86400000}, {SLICE_INIT("h"), 3600000}, {SLICE_INIT("m"), 60000},
    {SLICE_INIT("s"), 1000},     {SLICE_INIT("ms"), 1},      {SLICE_INIT(""), 0},
};

static const struct unit size_units[] = {
    {SLICE_INIT("T"), 1LL << 40}, {SLICE_INIT("G"), 1LL << 30}, {SLICE_INIT("M"), 1LL << 20},
    {SLICE_INIT("k"), 1LL << 10}, {SLICE_INIT("B"), 1},         {SLICE_INIT("t"), 1LL << 40},
    {SLICE_INIT("g"), 1LL << 30}, {SLICE_INIT("m"), 1LL << 20}, {SLICE_INIT("K"), 1LL << 10},
    {SLICE_INIT("b"), 1},         {SLICE_INIT(""), 0},
};

static const struct unit period_units[] = {
    /* of rates, in seconds */
    {SLICE_INIT("s"), 1},
    {SLICE_INIT("m"), 60},
    {SLICE_INIT("h"), 3600},
    {SLICE_INIT(""), 0},
};

enum verdict { FINE, NOT_ONE, NO_UNIT, TOO_LARGE, TOO_SMALL };

static int64_t unit_factor(const struct unit *units, struct slice name)
{
    for (const struct unit *u = units; u->factor; u++) {
        if (slice_eq(u->name, name))
            return u->factor;
    }
    return 0;
}

/* Splits "10ms" in 10 and "ms". */
static enum verdict cut_number(struct slice s, int64_t *number, struct slice *unit)
{
    size_t digits = 0;
    uint64_t value;
    while (digits < s.len && s.at[digits] >= '0' && s.at[digits] <= '9')
        digits++;
    if (digits == 0)
        return NOT_ONE;
    if (num_parse_u64(slice_head(s, digits), &value) != ERR_OK || value > INT64_MAX)
        return TOO_LARGE;
    *number = (int64_t)value;
    *unit = slice_from(s, digits);
    return FINE;
}

static enum verdict times(int64_t a, int64_t b, int64_t *out)
{
    return __builtin_mul_overflow(a, b, out) ? TOO_LARGE : FINE;
}

static enum verdict parse_united(struct slice s, const struct unit *units, int64_t *out)
{
    struct slice unit;
    int64_t number;
    enum verdict v = cut_number(s, &number, &unit);
    if (v != FINE)
        return v;
    if (unit.len == 0)
        return NO_UNIT;
    int64_t factor = unit_factor(units, unit);
    return factor ? times(number, factor, out) : NOT_ONE;
}

static enum verdict parse_count(struct slice s, int64_t *out)
{
    struct slice unit;
    bool minus = slice_starts(s, SLICE("-"));
    enum verdict v = cut_number(minus ? slice_from(s, 1) : s, out, &unit);
    if (v != FINE)
        return v;
    if (minus)
        *out = -*out;
    return unit.len ? NOT_ONE : FINE;
}

/* "10r/s" or "1M/s": thousandths per second, rounded. */
static enum verdict parse_rate(struct slice s, int64_t *out)
{
    struct slice unit;
    int64_t number;
    enum verdict v = cut_number(s, &number, &unit);
    if (v != FINE)
        return v;
    if (unit.len == 0)
        return NO_UNIT;
    size_t slash = slice_find(unit, '/');
    struct slice what = slice_head(unit, slash);
    int64_t factor = slice_eq(what, SLICE("r")) ? 1 : unit_factor(size_units, what);
    int64_t period = unit_factor(period_units, slice_from(unit, slash + 1));
    if (!factor || !period)
        return NOT_ONE;
    int64_t total;
    if (times(number, factor, &total) != FINE || times(total, 1000, &total) != FINE ||
        __builtin_add_overflow(total, period / 2, &total))
        return TOO_LARGE;
    *out = total / period;
    return *out == 0 && number > 0 ? TOO_SMALL : FINE;
}

/* "20%", "0.5%", "0.25%": hundredths of a percent. */
static enum verdict parse_percent(struct slice s, int64_t *out)
{
    struct slice rest, after;
    int64_t whole, fraction = 0;
    enum verdict v = cut_number(s, &whole, &rest);
    if (v != FINE)
        return v;
    if (rest.len == 0)
        return NO_UNIT;
    if (rest.at[0] == '.') {
        struct slice digits = slice_from(rest, 1);
        if (cut_number(digits, &fraction, &after) != FINE || digits.len - after.len > 2)
            return NOT_ONE;
        if (digits.len - after.len == 1)
            fraction *= 10;
        rest = after;
    }
    if (!slice_eq(rest, SLICE("%")))
        return NOT_ONE;
    v = times(whole, 100, out);
    return v == FINE && __builtin_add_overflow(*out, fraction, out) ? TOO_LARGE : v;
}

static enum verdict parse_number(enum conf_type type, struct slice s, int64_t *out)
{
    switch (type) {
    case CONF_COUNT: return parse_count(s, out);
    case CONF_SIZE: return parse_united(s, size_units, out);
    case CONF_TIME: return parse_united(s, time_units, out);
    case CONF_RATE: return parse_rate(s, out);
    case CONF_PERCENT: return parse_percent(s, out);
    default: ASSERT(!"a type of number"); return NOT_ONE;
    }
}

const char *conf_type_name(enum conf_type type)
{
    switch (type) {
    case CONF_FLAG: return "on or off";
    case CONF_COUNT: return "a whole number";
    case CONF_SIZE: return "a size";
    case CONF_TIME: return "a time";
    case CONF_RATE: return "a rate";
    case CONF_PERCENT: return "a percentage";
    case CONF_CHOICE: return "one of a few words";
    case CONF_STRING: return "text";
    default: return "nothing";
    }
}

static const char *type_samples(enum conf_type type)
{
    switch (type) {
    case CONF_SIZE: return "512B, 10k, 1M or 2G";
    case CONF_TIME: return "100ms, 5s, 10m, 2h or 1d";
    case CONF_RATE: return "10r/s, 600r/m or 1M/s";
    case CONF_PERCENT: return "20% or 0.5%";
    default: return "0, 1 or 1000";
    }
}

static void refuse(struct diag *d, enum conf_type type, const struct conf_word *w, enum verdict v)
{
    const char *name = conf_type_name(type);
    switch (v) {
    case NO_UNIT:
        diag_error(d, w->pos, "'%.*s' has no unit: %s is due", SLICE_ARG(w->text), name);
        break;
    case TOO_LARGE: diag_error(d, w->pos, "'%.*s' is too large", SLICE_ARG(w->text)); break;
    case TOO_SMALL: diag_error(d, w->pos, "'%.*s' is too small", SLICE_ARG(w->text)); break;
    default: diag_error(d, w->pos, "'%.*s' is not %s", SLICE_ARG(w->text), name); break;
    }
    if (v == NO_UNIT || v == NOT_ONE)
        diag_hint(d, "%s is written like %s", name, type_samples(type));
}

static bool parse_flag(struct diag *d, const struct conf_word *w, int64_t *out)
{
    static const struct slice words[] = {SLICE_INIT("off"), SLICE_INIT("on")};
    for (int64_t i = 0; i < 2; i++) {
        if (slice_eq(w->text, words[i])) {
            *out = i;
            return true;
        }
    }
    diag_error(d, w->pos, "'%.*s' is neither on nor off", SLICE_ARG(w->text));
    diag_nearest(d, w->text, words, 2);
    return false;
}

static bool parse_choice(struct diag *d, const struct directive *row, const struct conf_word *w,
                         int64_t *out)
{
    struct slice words[64];
    size_t count = 0;
    struct text list;
    for (const struct conf_choice *c = row->choices; c && c->word; c++) {
        if (slice_eq(w->text, slice_of(c->word))) {
            *out = c->value;
            return true;
        }
    }
    text_init(&list);
    for (const struct conf_choice *c = row->choices; c && c->word && count < COUNT_OF(words); c++) {
        text_addf(&list, "%s%s", count ? ", " : "", c->word);
        words[count++] = slice_of(c->word);
    }
    diag_error(d, w->pos, "'%.*s' is not one of: %s%s", SLICE_ARG(w->text), list.at ? list.at : "",
               row->off_ok ? ", off" : "");
    diag_nearest(d, w->text, words, count);
    text_release(&list);
    return false;
}

bool conf_parse_value(struct diag *d, enum conf_type type, const struct conf_word *w, int64_t *out)
{
    int64_t number = 0;
    if (type == CONF_FLAG)
        return parse_flag(d, w, out);
    enum verdict v = parse_number(type, w->text, &number);
    if (v != FINE) {
        refuse(d, type, w, v);
        return false;
    }
    *out = number;
    return true;
}

bool conf_has_range(const struct directive *row)
{
    return row->min != 0 || row->max != 0;
}

static bool in_range(const struct directive *row, int64_t value)
{
    if (!conf_has_range(row))
        return value >= 0;
    return value >= row->min && (row->max < row->min || value <= row->max);
}

bool conf_value_parse(struct diag *d, const struct directive *row, const struct conf_word *w,
                      int64_t *out)
{
    int64_t value = CONF_OFF;
    if (row->off_ok && slice_eq(w->text, SLICE("off"))) {
        *out = value;
        return true;
    }
    if (row->type == CONF_CHOICE)
        return parse_choice(d, row, w, out);
    if (!conf_parse_value(d, row->type, w, &value))
        return false;
    if (row->type != CONF_FLAG && !in_range(row, value)) {
        struct text range;
        text_init(&range);
        conf_range_write(&range, row);
        diag_error(d, w->pos, "'%.*s' is out of range: %s is due", SLICE_ARG(w->text), range.at);
        text_release(&range);
        return false;
    }
    *out = value;
    return true;
}

static void write_united(struct text *out, const struct unit *units, int64_t value)
{
    const struct unit *u = units;
    while (u->factor > 1 && (value == 0 || value % u->factor))
        u++;
    text_addf(out, "%" PRId64 "%.*s", value / u->factor, SLICE_ARG(u->name));
}

static void write_rate(struct text *out, int64_t value)
{
    if (value % 1000 == 0 && value / 1000 >= 1024 && value / 1000 % 1024 == 0) {
        write_united(out, size_units, value / 1000);
        text_add(out, SLICE("/s"));
    } else if (value % 1000 == 0) {
        text_addf(out, "%" PRId64 "r/s", value / 1000);
    } else {
        int64_t rest = (value % 1000 * 60 + 500) / 1000; /* apart: value * 60 may overflow */
        text_addf(out, "%" PRId64 "r/m", value / 1000 * 60 + rest);
    }
}

static void write_percent(struct text *out, int64_t value)
{
    text_addf(out, "%" PRId64, value / 100);
    if (value % 100)
        text_addf(out, value % 10 ? ".%02" PRId64 : ".%" PRId64,
                  value % 10 ? value % 100 : value % 100 / 10);
    text_add(out, SLICE("%"));
}

void conf_value_write(struct text *out, enum conf_type type, int64_t value)
{
    switch (type) {
    case CONF_SIZE: write_united(out, size_units, value); break;
    case CONF_TIME: write_united(out, time_units, value); break;
    case CONF_RATE: write_rate(out, value); break;
    case CONF_PERCENT: write_percent(out, value); break;
    default: text_addf(out, "%" PRId64, value); break;
    }
}

void conf_range_write(struct text *out, const struct directive *row)
{
    if (conf_has_range(row) && row->max >= row->min) {
        conf_value_write(out, row->type, row->min);
        text_add(out, SLICE(" to "));
        conf_value_write(out, row->type, row->max);
    } else {
        text_add(out, SLICE("at least "));
        conf_value_write(out, row->type, row->min);
    }
    if (row->off_ok)
        text_add(out, SLICE(" or off"));
}
