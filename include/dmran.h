/* dmran: scoring with a trained model from C.
 *
 * Build the library (Cargo feature `capi`):
 *   cargo rustc --lib --release --no-default-features --features capi --crate-type cdylib
 *   cargo rustc --lib --release --no-default-features --features capi --crate-type staticlib
 *
 * Functions that can fail give a status: DMRAN_OK (0) or one of the errors below; dmran_last_error() then has a message
 * for people. On failure no output is written, except where a function says so. Output arrays must not overlap inputs
 * or each other. An array of 0 elements may be null.
 */
#ifndef DMRAN_H
#define DMRAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DMRAN_ABI_VERSION 1u

enum {
    DMRAN_OK = 0,
    DMRAN_ERROR_POINTER = 1,      /* null or unaligned where a pointer must be given */
    DMRAN_ERROR_ARGUMENT = 2,     /* a length overflows, an id is not UTF-8, a buffer is too small */
    DMRAN_ERROR_MODEL = 3,        /* the model file cannot be read or breaks a rule; or DMRAN_SIMD is wrong */
    DMRAN_ERROR_NO_SUCH_ITEM = 4, /* an index is not below the number of items */
    DMRAN_ERROR_PANIC = 5         /* a defect of the library was caught; free the handle that was in use */
};

/* "No such item": what dmran_scorer_find gives for an unknown id. Events of this item are skipped. */
#define DMRAN_NO_ITEM UINT32_MAX

/* Flag: compute nothing ahead for the items. Takes half the memory (d floats an item less); users are encoded more
 * slowly. Scores are the same, bit for bit. */
#define DMRAN_LEAN 1u

/* A loaded model. May be used by many threads at once. */
typedef struct dmran_scorer dmran_scorer;

/* An encoded user with its buffers. For one thread at a time; make one for each thread and encode again and again.
 * Keeps its model alive, so the scorer may be freed first. */
typedef struct dmran_user dmran_user;

/* One event of a history: index of the item, seconds since 1970 (UTC). */
typedef struct dmran_event {
    uint32_t item;
    int64_t time;
} dmran_event;

/* An event's part in a score: its place in the history, its item, its share. All shares of a user sum to 1. */
typedef struct dmran_event_share {
    size_t position;
    uint32_t item;
    float share;
} dmran_event_share;

/* DMRAN_ABI_VERSION of the library; compare it with the header's. */
uint32_t dmran_abi_version(void);

/* The message of this thread's last failure, empty if there was none. Valid until the thread's next failure. */
const char *dmran_last_error(void);

/* Loads a model file, or a model from the bytes of its file. All of the file is checked. */
int32_t dmran_scorer_load(const char *path, dmran_scorer **scorer);
int32_t dmran_scorer_from_bytes(const uint8_t *bytes, size_t length, dmran_scorer **scorer);
/* The same with flags: 0 or DMRAN_LEAN. */
int32_t dmran_scorer_load_with(const char *path, uint32_t flags, dmran_scorer **scorer);
int32_t dmran_scorer_from_bytes_with(const uint8_t *bytes, size_t length, uint32_t flags, dmran_scorer **scorer);
void dmran_scorer_free(dmran_scorer *scorer);

/* The number of items; 0 for null. */
size_t dmran_scorer_items(const dmran_scorer *scorer);

/* The index of an id; DMRAN_NO_ITEM (and DMRAN_OK) where the model does not know it. */
int32_t dmran_scorer_find(const dmran_scorer *scorer, const char *id, uint32_t *item);

/* Copies an item's id, and a zero behind it, to `id`. `length` (may be null) becomes the id's length without the zero,
 * even where `capacity` is too small. */
int32_t dmran_scorer_item_id(const dmran_scorer *scorer, uint32_t item, char *id, size_t capacity, size_t *length);

/* The k items most like `item`, by the cosine of their vectors, best first; the item itself is left out. `items` and
 * `scores` (the cosines; may be null) have room for the smaller of k and the number of items; `found` becomes the number
 * written. */
int32_t dmran_scorer_similar(const dmran_scorer *scorer, uint32_t item, size_t k, uint32_t *items, float *scores,
                             size_t *found);

int32_t dmran_user_new(const dmran_scorer *scorer, dmran_user **user);
void dmran_user_free(dmran_user *user);

/* Encodes a history, oldest event first, at the time `now`. Unknown items are skipped; `unknown` (may be null) becomes
 * their number. A user without known items is cold: scores are then the items' biases. With string ids `times` may be
 * null for models without time. */
int32_t dmran_user_encode(dmran_user *user, const dmran_event *events, size_t count, int64_t now, size_t *unknown);
int32_t dmran_user_encode_ids(dmran_user *user, const char *const *ids, const int64_t *times, size_t count,
                              int64_t now, size_t *unknown);

/* Scores of `count` candidates; 1 / (1 + exp(-score)) is the trained probability. */
int32_t dmran_user_score(dmran_user *user, const uint32_t *candidates, size_t count, float *scores);

/* The best `k` of all items that are not in `exclude`, best first, equal scores by id. `items` and `scores` (may be
 * null) have room for the smaller of k and the number of items; `found` becomes the number written. */
int32_t dmran_user_top_k(dmran_user *user, size_t k, const uint32_t *exclude, size_t excluded, uint32_t *items,
                         float *scores, size_t *found);

/* The events that carried an item's score, the largest share first: at most `capacity` into `shares`; `count` becomes
 * the number of all. */
int32_t dmran_user_explain(dmran_user *user, uint32_t item, dmran_event_share *shares, size_t capacity,
                           size_t *count);

#ifdef __cplusplus
}
#endif

#endif
