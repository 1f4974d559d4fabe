/* template.h - words with variables: "$host/x/${header.User-Agent}". Compiled once. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/variable.h"

struct template;

enum { TEMPLATE_PIECES_MAX = 64 };

enum piece_kind { PIECE_LITERAL, PIECE_VARIABLE, PIECE_CAPTURE };

struct template_piece {
    enum piece_kind kind;
    const struct variable *variable;
    struct slice text; /* the literal, or the variable's argument */
    uint32_t capture;
};

/* Unknown variables are errors with position and the nearest name. In a raw word ('...') a '$' is
 * just a '$'; "$$" is one too. `captures`: "$1".."$9" are allowed. NULL after an error. */
const struct template *template_compile(struct conf_build *b, const struct conf_word *w,
                                        bool captures);
/* For the access log: also variables that are known only when the exchange has ended. */
const struct template *template_compile_log(struct conf_build *b, const struct conf_word *w);
bool template_is_literal(const struct template *t, struct slice *text);
/* In the exchange's arena (or the literal itself); .at NULL when the budget is spent. Absent
 * variables are empty. captures[0..9] may be NULL. */
struct slice template_eval(const struct template *t, struct exchange *x,
                           const struct slice *captures);
const struct template_piece *template_pieces(const struct template *t, uint32_t *count);
