/* config.c - /config: the texts of the files in force, as JSON.
 *
 * They are shown as they were read, before ${env.NAME} and ${file:PATH} were put in: secrets that
 * stand outside the files stay there, and for those that stand in them there is ***. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "conf/secrets.h"
#include "conf/snapshot.h"
#include "conf/tree.h"

int config_write(const struct admin_page *p)
{
    const struct conf_tree *tree = p->conf->tree;
    struct text *out = p->out, shown;
    text_init(&shown);
    text_addf(out, "{\n  \"generation\": %llu,\n  \"files\": [",
              (unsigned long long)p->conf->generation);
    for (uint32_t i = 0; i < tree->file_count; i++) {
        text_addf(out, "%s\n    {\"path\": ", i ? "," : "");
        text_add_json(out, slice_of(tree->files[i]->path));
        text_add(out, SLICE(", \"text\": "));
        shown.len = 0;
        conf_file_write(&shown, tree->files[i], 0, tree->files[i]->text.len);
        text_add_json(out, text_slice(&shown));
        text_add(out, SLICE("}"));
    }
    text_add(out, SLICE("\n  ]\n}\n"));
    text_release(&shown);
    return 200;
}
