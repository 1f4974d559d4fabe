/* list.h - intrusive doubly linked list. A struct list is both head and link. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Also "is this link in a list": an unlinked link points to itself. */
static inline bool list_linked(const struct list *l)
{
    return l->next != l && l->next != NULL;
}

static inline void list_add_before(struct list *pos, struct list *l)
{
    l->prev = pos->prev;
    l->next = pos;
    pos->prev->next = l;
    pos->prev = l;
}

static inline void list_push(struct list *head, struct list *l) /* at the end */
{
    list_add_before(head, l);
}

static inline void list_push_front(struct list *head, struct list *l)
{
    list_add_before(head->next, l);
}

static inline void list_remove(struct list *l) /* safe on an unlinked, initialised link */
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

static inline struct list *list_pop(struct list *head) /* the first, or NULL */
{
    struct list *l = head->next;
    if (l == head)
        return NULL;
    list_remove(l);
    return l;
}

#define LIST_ENTRY(ptr, type, member) CONTAINER_OF(ptr, type, member)
#define LIST_EACH(it, head)           for (struct list *it = (head)->next; it != (head); it = it->next)
#define LIST_EACH_SAFE(it, head)                                              \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)
