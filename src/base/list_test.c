/* list_test.c - the intrusive list: order, removal while walking, links that are in no list. */
// SPDX-License-Identifier: Apache-2.0
#include "base/list.h"
#include "tests/unit.h"

struct item {
    int n;
    struct list link;
};

static int digits(struct list *head)
{
    int sum = 0;
    LIST_EACH (it, head)
        sum = sum * 10 + LIST_ENTRY(it, struct item, link)->n;
    return sum;
}

static void keeps_order(void **state)
{
    (void)state;
    struct list head;
    struct item one = {.n = 1}, two = {.n = 2}, three = {.n = 3};
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_pop(&head));
    list_push(&head, &two.link);
    list_push(&head, &three.link);
    list_push_front(&head, &one.link);
    assert_int_equal(digits(&head), 123);
    assert_ptr_equal(list_pop(&head), &one.link);
    assert_int_equal(digits(&head), 23);
}

static void removes_while_walking(void **state)
{
    (void)state;
    struct list head;
    struct item items[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};
    list_init(&head);
    for (size_t i = 0; i < 4; i++)
        list_push(&head, &items[i].link);
    LIST_EACH_SAFE (it, &head) {
        if (LIST_ENTRY(it, struct item, link)->n % 2)
            list_remove(it);
    }
    assert_int_equal(digits(&head), 24);
}

static void knows_unlinked_links(void **state)
{
    (void)state;
    struct list head;
    struct item one = {.n = 1};
    assert_false(list_linked(&one.link)); /* zeroed */
    list_init(&head);
    list_init(&one.link);
    assert_false(list_linked(&one.link));
    list_push(&head, &one.link);
    assert_true(list_linked(&one.link));
    list_remove(&one.link);
    list_remove(&one.link);
    assert_false(list_linked(&one.link));
    assert_true(list_empty(&head));
}

UNIT_SUITE(base_list, cmocka_unit_test(keeps_order), cmocka_unit_test(removes_while_walking),
           cmocka_unit_test(knows_unlinked_links));
