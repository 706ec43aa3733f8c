/* Pages of the program's own, with descriptors beside them, and a mutex in the place of the mm's lock. */

#ifndef PAGES_H
#define PAGES_H

#include "own_rcu.h"

#include <stdalign.h>

enum { PAGES = 512, PAGE_BYTES = 4096 };

alignas(PAGE_BYTES) static uint8_t page_memory[PAGES][PAGE_BYTES];
alignas(PTFRAG_DESC_ALIGN) static uint8_t page_descs[PAGES][PTFRAG_DESC_SIZE];

/* The context of a table. */
struct own {
  struct own_rcu rcu; /* comes first */
  pthread_mutex_t pages;
  size_t stack[PAGES];
  size_t free;
  size_t in, out, reclaimed, locked;
  bool refuses;
};

static inline bool page_get(void *context, uint8_t **page, void **desc) {
  struct own *own = (struct own *)context;
  pthread_mutex_lock(&own->pages);
  bool some = own->free != 0;
  if (some) {
    size_t nth = own->stack[--own->free];
    *page = page_memory[nth];
    *desc = page_descs[nth];
  }
  pthread_mutex_unlock(&own->pages);
  return some;
}

static inline void page_put(void *context, uint8_t *page, void *desc) {
  struct own *own = (struct own *)context;
  size_t nth = (size_t)(page - page_memory[0]) / PAGE_BYTES;
  CHECK(desc == page_descs[nth]);
  pthread_mutex_lock(&own->pages);
  own->stack[own->free++] = nth;
  pthread_mutex_unlock(&own->pages);
}

static inline void *desc_of(void *context, const uint8_t *address) {
  (void)context;
  uintptr_t offset = (uintptr_t)address - (uintptr_t)page_memory;
  return offset < sizeof page_memory ? page_descs[offset / PAGE_BYTES] : NULL;
}

static inline uint8_t *page_of(void *context, const void *desc) {
  (void)context;
  return page_memory[(size_t)((const uint8_t *)desc - page_descs[0]) / PTFRAG_DESC_SIZE];
}

static inline bool page_in(void *context, uint8_t *page) {
  struct own *own = (struct own *)context;
  CHECK((uintptr_t)page % PAGE_BYTES == 0);
  if (own->refuses) {
    return false;
  }
  __atomic_fetch_add(&own->in, 1, __ATOMIC_RELAXED);
  return true;
}

static inline void page_out(void *context, uint8_t *page) {
  CHECK((uintptr_t)page % PAGE_BYTES == 0);
  __atomic_fetch_add(&((struct own *)context)->out, 1, __ATOMIC_RELAXED);
}

static inline void reclaim(void *context, uint8_t *frag) {
  check_block(frag, 256);
  __atomic_fetch_add(&((struct own *)context)->reclaimed, 1, __ATOMIC_RELAXED);
}

/* A mutex of glibc has no tail: letting the next one in is the last access to it. */
static_assert(sizeof(pthread_mutex_t) <= sizeof(ptfrag_lock), "a mutex fits");

static inline void own_lock(void *context, ptfrag_lock *lock) {
  __atomic_fetch_add(&((struct own *)context)->locked, 1, __ATOMIC_RELAXED);
  CHECK(pthread_mutex_lock((pthread_mutex_t *)(void *)lock) == 0);
}

static inline bool own_try_lock(void *context, ptfrag_lock *lock) {
  bool locked = pthread_mutex_trylock((pthread_mutex_t *)(void *)lock) == 0;
  __atomic_fetch_add(&((struct own *)context)->locked, locked, __ATOMIC_RELAXED);
  return locked;
}

static inline void own_unlock(void *context, ptfrag_lock *lock) {
  (void)context;
  CHECK(pthread_mutex_unlock((pthread_mutex_t *)(void *)lock) == 0);
}

static inline void init_own(struct own *own) {
  memset(own, 0, sizeof *own);
  init_own_rcu(&own->rcu);
  pthread_mutex_init(&own->pages, NULL);
  for (size_t nth = 0; nth < PAGES; nth++) {
    own->stack[own->free++] = nth;
  }
}

/* Empty parts with this context. */
static inline ptfrag_parts parts_of(struct own *own) {
  ptfrag_parts parts;
  memset(&parts, 0, sizeof parts);
  parts.context = own;
  return parts;
}

static inline void set_pages(ptfrag_parts *parts) {
  parts->page_size = PAGE_BYTES;
  parts->page_get = page_get;
  parts->page_put = page_put;
  parts->desc_of = desc_of;
  parts->page_of = page_of;
}

static inline void set_hooks(ptfrag_parts *parts) {
  parts->page_in = page_in;
  parts->page_out = page_out;
  parts->reclaim = reclaim;
}

static inline void set_lock(ptfrag_parts *parts) {
  parts->lock = own_lock;
  parts->try_lock = own_try_lock;
  parts->unlock = own_unlock;
}

#endif
