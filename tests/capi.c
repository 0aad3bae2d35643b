/* Compiled and run by tests/scorer/capi.rs: capi MODEL. Prints `item score` lines of the five best items for a fixed history,
 * after checking what a caller can get wrong. */
#include "dmran.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                        \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, dmran_last_error());    \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

int main(int argc, char **argv) {
    CHECK(argc == 2);
    CHECK(dmran_abi_version() == DMRAN_ABI_VERSION);
    CHECK(strcmp(dmran_last_error(), "") == 0);

    dmran_scorer *scorer = NULL;
    CHECK(dmran_scorer_load("/no/such/model", &scorer) == DMRAN_ERROR_MODEL);
    CHECK(scorer == NULL && strstr(dmran_last_error(), "/no/such/model") != NULL);
    CHECK(dmran_scorer_load(NULL, &scorer) == DMRAN_ERROR_POINTER);
    CHECK(dmran_scorer_from_bytes((const uint8_t *)"<html>", 6, &scorer) == DMRAN_ERROR_MODEL);
    CHECK(dmran_scorer_load(argv[1], &scorer) == DMRAN_OK);
    CHECK(dmran_scorer_items(scorer) == 7);

    /* Ids both ways. */
    uint32_t item = 0;
    CHECK(dmran_scorer_find(scorer, "b2", &item) == DMRAN_OK && item == 2);
    CHECK(dmran_scorer_find(scorer, "nothing", &item) == DMRAN_OK && item == DMRAN_NO_ITEM);
    CHECK(dmran_scorer_find(scorer, "\xff", &item) == DMRAN_ERROR_ARGUMENT);
    char id[32];
    size_t length = 0;
    CHECK(dmran_scorer_item_id(scorer, 1, id, sizeof id, &length) == DMRAN_OK);
    CHECK(length == 3 && strcmp(id, "b10") == 0);
    CHECK(dmran_scorer_item_id(scorer, 1, id, 3, &length) == DMRAN_ERROR_ARGUMENT && length == 3);
    CHECK(dmran_scorer_item_id(scorer, 7, id, sizeof id, &length) == DMRAN_ERROR_NO_SUCH_ITEM);

    /* Items like an item. */
    uint32_t like[9];
    float cosines[9];
    size_t alike = 0;
    CHECK(dmran_scorer_similar(scorer, 2, 9, like, cosines, &alike) == DMRAN_OK && alike == 6);
    for (size_t i = 0; i < alike; i++) {
        CHECK(like[i] != 2 && fabsf(cosines[i]) <= 1.0001f && (i == 0 || cosines[i - 1] >= cosines[i]));
    }
    CHECK(dmran_scorer_similar(scorer, 7, 1, like, NULL, &alike) == DMRAN_ERROR_NO_SUCH_ITEM && alike == 6);
    CHECK(dmran_scorer_similar(scorer, 2, 1, NULL, NULL, &alike) == DMRAN_ERROR_POINTER);
    CHECK(dmran_scorer_similar(NULL, 2, 1, like, NULL, &alike) == DMRAN_ERROR_POINTER);

    /* A user outlives its handle on the model. */
    dmran_user *user = NULL;
    CHECK(dmran_user_new(scorer, &user) == DMRAN_OK);
    dmran_scorer *also = scorer;
    CHECK(dmran_scorer_load_with(argv[1], 6, &scorer) == DMRAN_ERROR_ARGUMENT);
    CHECK(strcmp(dmran_last_error(), "unknown flags: 0x6") == 0);
    CHECK(dmran_scorer_from_bytes_with((const uint8_t *)"<html>", 6, DMRAN_LEAN, &scorer) == DMRAN_ERROR_MODEL);
    CHECK(dmran_scorer_load_with(argv[1], DMRAN_LEAN, &scorer) == DMRAN_OK);
    dmran_scorer_free(also);

    const char *ids[] = {"b1", "nothing", "c"};
    const int64_t times[] = {86400, 2 * 86400, 3 * 86400};
    size_t unknown = 0;
    CHECK(dmran_user_encode_ids(user, ids, times, 3, 5 * 86400, &unknown) == DMRAN_OK && unknown == 1);
    CHECK(dmran_user_encode_ids(user, ids, NULL, 3, 5 * 86400, NULL) == DMRAN_ERROR_POINTER);
    const uint32_t candidates[] = {0, 6, 3};
    float by_ids[3], by_index[3];
    CHECK(dmran_user_score(user, candidates, 3, by_ids) == DMRAN_OK);
    const dmran_event events[] = {{0, 86400}, {DMRAN_NO_ITEM, 2 * 86400}, {3, 3 * 86400}};
    CHECK(dmran_user_encode(user, events, 3, 5 * 86400, &unknown) == DMRAN_OK && unknown == 1);
    CHECK(dmran_user_score(user, candidates, 3, by_index) == DMRAN_OK);
    CHECK(memcmp(by_ids, by_index, sizeof by_ids) == 0);
    dmran_user *lean = NULL;
    CHECK(dmran_user_new(scorer, &lean) == DMRAN_OK);
    CHECK(dmran_user_encode(lean, events, 3, 5 * 86400, &unknown) == DMRAN_OK && unknown == 1);
    CHECK(dmran_user_score(lean, candidates, 3, by_index) == DMRAN_OK);
    CHECK(memcmp(by_ids, by_index, sizeof by_ids) == 0);
    dmran_user_free(lean);
    const uint32_t bad[] = {0, 7};
    CHECK(dmran_user_score(user, bad, 2, by_ids) == DMRAN_ERROR_NO_SUCH_ITEM);
    CHECK(strcmp(dmran_last_error(), "candidate 1 is item 7; the model has 7 items") == 0);
    CHECK(dmran_user_score(user, candidates, SIZE_MAX, by_ids) == DMRAN_ERROR_ARGUMENT);
    CHECK(dmran_user_score(user, NULL, 0, NULL) == DMRAN_OK);

    dmran_event_share shares[1];
    size_t count = 0;
    CHECK(dmran_user_explain(user, 6, shares, 1, &count) == DMRAN_OK && count == 2);
    CHECK(shares[0].share >= 0.5f && (shares[0].position == 0 || shares[0].position == 2));

    /* The five best without those of the history. */
    const uint32_t exclude[] = {0, 3};
    uint32_t best[7];
    float scores[7];
    size_t found = 0;
    CHECK(dmran_user_top_k(user, 100, exclude, 2, best, scores, &found) == DMRAN_OK && found == 5);
    for (size_t i = 0; i < found; i++) {
        CHECK(dmran_scorer_item_id(scorer, best[i], id, sizeof id, NULL) == DMRAN_OK);
        printf("%s %.9g\n", id, (double)scores[i]);
    }
    dmran_user_free(user);
    dmran_scorer_free(scorer);
    dmran_scorer_free(NULL);
    return 0;
}
