/* schema.c - joins the tables of all modules: the language itself, the process, upstreams, proxy
 * and each filter. The list of filters is generated from file names, so nothing is named here. */
// SPDX-License-Identifier: Apache-2.0
#include "main/schema.h"
#include "base/assert.h"
#include "main/main_conf.h"
#include "proxy/build.h"
#include "proxy/filter.h"
#include "proxy/outbound.h"
#include "upstream/check.h"
#include "upstream/upstream.h"

enum { TABLES_MAX = 128 };

static struct conf_table tables[TABLES_MAX];
static struct conf_schema schema;

static void table_add(const char *module, const struct directive *rows)
{
    ASSERT(schema.count < TABLES_MAX);
    tables[schema.count++] = (struct conf_table){module, rows};
}

static void filter_add(const struct filter_type *f)
{
    if (f->directives)
        table_add(f->name, f->directives);
    for (const struct directive *const *rows = f->inner; rows && *rows; rows++)
        table_add(f->name, *rows);
}

const struct conf_schema *schema_all(void)
{
    if (schema.count > 0)
        return &schema;
    schema.tables = tables;
    table_add("Language", conf_core_rows);
    table_add("Process", main_rows);
    table_add("Admin", admin_rows);
    table_add("Cache store", cache_store_rows);
    table_add("Sandbox", sandbox_rows);
    table_add("Upstreams", upstream_rows);
    table_add("Health checks", check_rows);
    table_add("Sites and routes", proxy_rows);
    table_add("Relay", outbound_rows);
    for (const struct filter_type *const *f = filters_all; *f; f++)
        filter_add(*f);
    return &schema;
}

bool schema_row_in(const struct directive *rows, const struct directive *row)
{
    for (const struct directive *r = rows; r->name; r++)
        if (r == row)
            return true;
    return false;
}
