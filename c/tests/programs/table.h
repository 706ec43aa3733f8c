/* Walkers follow a table of blocks while collapsers replace and free them: over whatever RCU and pages. */

#ifndef TABLE_H
#define TABLE_H

#include "test.h"

enum { ENTRIES = 64, BYTES = 256, WALKERS = 2, COLLAPSERS = 2 };

/* Blocks that each collapser publishes; the first argument, if there is one. */
static size_t rounds = 2000;

struct scene {
  ptfrag_mm *mm;
  void *context;
  void (*begin)(void); /* what a thread has to do before all else, and at its end; or NULL */
  void (*end)(void);
  void (*walk)(struct scene *scene);    /* in a section */
  size_t (*drive)(struct scene *scene); /* moves grace periods on */
  bool handles;
  uint8_t *table[ENTRIES];
  bool over;
  size_t walks; /* so far */
  size_t done;  /* blocks that were published, or given back */
  size_t number; /* of the next collapser */
};

/* Gives collapsers the time for so many rounds, however busy the machine is: one of them may reuse what was read. Not for ever, as
 * they may be waiting for the end of the section. */
static inline void wait_for_others(struct scene *scene, size_t wanted) {
  size_t before = __atomic_load_n(&scene->done, __ATOMIC_RELAXED);
  for (size_t tries = 0; tries < 20; tries++) {
    if (__atomic_load_n(&scene->done, __ATOMIC_RELAXED) - before >= wanted) {
      return;
    }
    sched_yield();
  }
}

/* To be called in a section. */
static inline void walk_table(struct scene *scene) {
  for (size_t at = 0; at < ENTRIES; at++) {
    uint8_t *block = __atomic_load_n(&scene->table[at], __ATOMIC_ACQUIRE);
    if (block == NULL) {
      continue;
    }
    uint8_t seen = *(volatile uint8_t *)block;
    if (at % 16 == 5) {
      wait_for_others(scene, ENTRIES / 4);
    }
    CHECK(*(volatile uint8_t *)block == seen);
    check_block(block, BYTES);
  }
}

static inline void *walker(void *argument) {
  struct scene *scene = (struct scene *)argument;
  if (scene->begin != NULL) {
    scene->begin();
  }
  while (!__atomic_load_n(&scene->over, __ATOMIC_ACQUIRE)) {
    sched_yield();
    scene->walk(scene);
    __atomic_fetch_add(&scene->walks, 1, __ATOMIC_RELAXED);
  }
  if (scene->end != NULL) {
    scene->end();
  }
  return NULL;
}

static inline void *collapser(void *argument) {
  struct scene *scene = (struct scene *)argument;
  if (scene->begin != NULL) {
    scene->begin();
  }
  size_t first = __atomic_fetch_add(&scene->number, 1, __ATOMIC_RELAXED);
  ptfrag_local *local = scene->handles ? ptfrag_local_new(scene->mm) : NULL;
  for (size_t round = 0; round < rounds;) {
    uint8_t *block = local != NULL ? ptfrag_local_alloc(local) : ptfrag_alloc(scene->mm);
    if (block == NULL) {
      scene->drive(scene);
      sched_yield();
      continue;
    }
    round++;
    memset(block, (int)(round % 255), BYTES);
    if (round % 16 == 0) {
      if (local != NULL) {
        ptfrag_local_give_back(local, block);
      } else {
        ptfrag_give_back(scene->mm, block);
      }
      block = NULL;
    }
    size_t at = (round * 7 + first * (ENTRIES / COLLAPSERS)) % ENTRIES;
    uint8_t *old = __atomic_exchange_n(&scene->table[at], block, __ATOMIC_ACQ_REL);
    if (old != NULL) {
      if (local != NULL) {
        ptfrag_local_retire(local, old);
      } else {
        ptfrag_retire(scene->mm, old);
      }
    }
    __atomic_fetch_add(&scene->done, 1, __ATOMIC_RELAXED);
    if (round % 64 == 0) {
      scene->drive(scene);
      /* And walkers the time for a walk. */
      size_t walks = __atomic_load_n(&scene->walks, __ATOMIC_RELAXED);
      while (__atomic_load_n(&scene->walks, __ATOMIC_RELAXED) == walks) {
        sched_yield();
      }
    }
    if (local != NULL && round % 1024 == 0) {
      ptfrag_local_flush(local);
    }
  }
  ptfrag_local_free(local);
  if (scene->end != NULL) {
    scene->end();
  }
  return NULL;
}

/* Plays the scene, and lets the mm go. */
static inline void play(struct scene *scene) {
  CHECK(scene->mm != NULL);
  pthread_t threads[WALKERS + COLLAPSERS];
  for (size_t at = 0; at < WALKERS + COLLAPSERS; at++) {
    CHECK(pthread_create(&threads[at], NULL, at < WALKERS ? walker : collapser, scene) == 0);
  }
  for (size_t at = WALKERS; at < WALKERS + COLLAPSERS; at++) {
    CHECK(pthread_join(threads[at], NULL) == 0);
  }
  __atomic_store_n(&scene->over, true, __ATOMIC_RELEASE);
  for (size_t at = 0; at < WALKERS; at++) {
    CHECK(pthread_join(threads[at], NULL) == 0);
  }
  /* What is left is freed by its origin, when the mm is gone. */
  ptfrag_origin *origin = ptfrag_origin_new(scene->mm);
  ptfrag_mm_free(scene->mm);
  for (size_t at = 0; at < ENTRIES; at++) {
    if (scene->table[at] != NULL) {
      ptfrag_origin_retire(origin, scene->table[at]);
    }
  }
  ptfrag_origin_free(origin);
}

/* Takes the number of rounds from the command line. */
static inline void set_rounds(int count, char **arguments) {
  if (count > 1) {
    rounds = (size_t)atol(arguments[1]);
  }
}

#endif
