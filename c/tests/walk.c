/* Walkers follow a table of blocks while a collapser replaces and frees them: over the built-in parts, and over an RCU, pages
 * and hooks of the program's own. As C11 and as C++17. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "ptfrag.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define CHECK(what)                                                    \
  do {                                                                 \
    if (!(what)) {                                                     \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
      exit(1);                                                         \
    }                                                                  \
  } while (0)

enum { ENTRIES = 64, BYTES = 256, WALKERS = 2, PAGES = 512 };

/* Blocks that are published; the first argument, if there is one. */
static size_t rounds = 20000;

/* What both scenes share. */
struct scene {
  ptfrag_mm *mm;
  uint8_t *table[ENTRIES];
  bool over;
  ptfrag_domain *domain; /* the built-in one, or NULL */
};

static pthread_rwlock_t sections = PTHREAD_RWLOCK_INITIALIZER;

static void check_block(const uint8_t *block) {
  for (size_t at = 1; at < BYTES; at++) {
    CHECK(block[at] == block[0]);
  }
}

static void walk(struct scene *scene) {
  for (size_t at = 0; at < ENTRIES; at++) {
    uint8_t *block = __atomic_load_n(&scene->table[at], __ATOMIC_ACQUIRE);
    if (block != NULL) {
      check_block(block);
    }
  }
}

static void *walker(void *argument) {
  struct scene *scene = (struct scene *)argument;
  while (!__atomic_load_n(&scene->over, __ATOMIC_ACQUIRE)) {
    sched_yield();
    if (scene->domain != NULL) {
      ptfrag_section section = ptfrag_read_lock(scene->domain);
      walk(scene);
      ptfrag_read_unlock(section);
    } else {
      pthread_rwlock_rdlock(&sections);
      walk(scene);
      pthread_rwlock_unlock(&sections);
    }
  }
  return NULL;
}

/* Moves grace periods on; says whether anything was done. */
static size_t drive(struct scene *scene);

static void replace(struct scene *scene, size_t at, uint8_t *block) {
  uint8_t *old = __atomic_exchange_n(&scene->table[at], block, __ATOMIC_ACQ_REL);
  if (old != NULL) {
    ptfrag_retire(scene->mm, old);
  }
}

static void collapse(struct scene *scene) {
  pthread_t walkers[WALKERS];
  for (size_t at = 0; at < WALKERS; at++) {
    CHECK(pthread_create(&walkers[at], NULL, walker, scene) == 0);
  }
  for (size_t round = 0; round < rounds; round++) {
    uint8_t *block = ptfrag_alloc(scene->mm);
    if (block == NULL) {
      drive(scene);
      continue;
    }
    memset(block, (int)(round % 255), BYTES);
    if (round % 16 == 0) {
      ptfrag_give_back(scene->mm, block);
      block = NULL;
    }
    replace(scene, round * 7 % ENTRIES, block);
    if (round % 64 == 0) {
      drive(scene);
    }
  }
  __atomic_store_n(&scene->over, true, __ATOMIC_RELEASE);
  for (size_t at = 0; at < WALKERS; at++) {
    CHECK(pthread_join(walkers[at], NULL) == 0);
  }
  for (size_t at = 0; at < ENTRIES; at++) {
    replace(scene, at, NULL);
  }
  ptfrag_mm_free(scene->mm);
}

/* The program's own RCU: sections hold a lock for reading, and who has it for writing knows that they are over. */

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static ptfrag_rcu_head *queue;

static void own_read_lock(void *context) {
  (void)context;
  pthread_rwlock_rdlock(&sections);
}

static void own_read_unlock(void *context) {
  (void)context;
  pthread_rwlock_unlock(&sections);
}

static void own_call(void *context, ptfrag_rcu_head *head, ptfrag_rcu_func func) {
  (void)context;
  memcpy(&head->words[1], &func, sizeof func);
  pthread_mutex_lock(&queue_lock);
  head->words[0] = queue;
  queue = head;
  pthread_mutex_unlock(&queue_lock);
}

static size_t own_drive(void) {
  pthread_mutex_lock(&queue_lock);
  ptfrag_rcu_head *head = queue;
  queue = NULL;
  pthread_mutex_unlock(&queue_lock);
  pthread_rwlock_wrlock(&sections);
  pthread_rwlock_unlock(&sections);
  size_t ran = 0;
  while (head != NULL) {
    ptfrag_rcu_head *next = (ptfrag_rcu_head *)head->words[0];
    ptfrag_rcu_func func;
    memcpy(&func, &head->words[1], sizeof func);
    func(head);
    head = next;
    ran++;
  }
  return ran;
}

static size_t drive(struct scene *scene) {
  return scene->domain != NULL ? ptfrag_poll(scene->domain) : own_drive();
}

/* Its own pages, with descriptors beside them. */

struct pages {
  pthread_mutex_t lock;
  uint8_t *memory;
  uint8_t *descs;
  size_t stack[PAGES];
  size_t free;
  size_t in, out, reclaimed;
};

static bool page_get(void *context, uint8_t **page, void **desc) {
  struct pages *pages = (struct pages *)context;
  pthread_mutex_lock(&pages->lock);
  bool some = pages->free != 0;
  if (some) {
    size_t nth = pages->stack[--pages->free];
    *page = pages->memory + nth * 4096;
    *desc = pages->descs + nth * PTFRAG_DESC_SIZE;
  }
  pthread_mutex_unlock(&pages->lock);
  return some;
}

static void page_put(void *context, uint8_t *page, void *desc) {
  struct pages *pages = (struct pages *)context;
  size_t nth = (size_t)(page - pages->memory) / 4096;
  CHECK(desc == pages->descs + nth * PTFRAG_DESC_SIZE);
  pthread_mutex_lock(&pages->lock);
  pages->stack[pages->free++] = nth;
  pthread_mutex_unlock(&pages->lock);
}

static void *desc_of(void *context, const uint8_t *address) {
  struct pages *pages = (struct pages *)context;
  uintptr_t offset = (uintptr_t)address - (uintptr_t)pages->memory;
  return offset < (uintptr_t)PAGES * 4096 ? pages->descs + offset / 4096 * PTFRAG_DESC_SIZE : NULL;
}

static uint8_t *page_of(void *context, const void *desc) {
  struct pages *pages = (struct pages *)context;
  return pages->memory + (size_t)((const uint8_t *)desc - pages->descs) / PTFRAG_DESC_SIZE * 4096;
}

static bool page_in(void *context, uint8_t *page) {
  struct pages *pages = (struct pages *)context;
  CHECK((uintptr_t)page % 4096 == 0);
  __atomic_fetch_add(&pages->in, 1, __ATOMIC_RELAXED);
  return true;
}

static void page_out(void *context, uint8_t *page) {
  struct pages *pages = (struct pages *)context;
  CHECK((uintptr_t)page % 4096 == 0);
  __atomic_fetch_add(&pages->out, 1, __ATOMIC_RELAXED);
}

static void reclaim(void *context, uint8_t *frag) {
  struct pages *pages = (struct pages *)context;
  check_block(frag);
  __atomic_fetch_add(&pages->reclaimed, 1, __ATOMIC_RELAXED);
}

static void built_in(void) {
  CHECK(ptfrag_region_new(1000, 10) == NULL);
  CHECK(ptfrag_region_new(4096, 0) == NULL);
  ptfrag_region *region = ptfrag_region_new(4096, PAGES);
  ptfrag_domain *domain = ptfrag_domain_new();
  CHECK(region != NULL);
  CHECK(ptfrag_mm_new(domain, region, 3) == NULL);
  struct scene scene;
  memset(&scene, 0, sizeof scene);
  scene.domain = domain;
  scene.mm = ptfrag_mm_new(domain, region, 4096 / BYTES);
  CHECK(scene.mm != NULL && ptfrag_mm_pages(scene.mm) == 0);
  collapse(&scene);
  while (ptfrag_region_pages_out(region) != 0) {
    ptfrag_barrier(domain);
  }
  ptfrag_region_free(region);
  ptfrag_domain_free(domain);
}

static void own_parts(void) {
  struct pages pages;
  memset(&pages, 0, sizeof pages);
  pthread_mutex_init(&pages.lock, NULL);
  pages.memory = (uint8_t *)aligned_alloc(4096, (size_t)PAGES * 4096);
  pages.descs = (uint8_t *)calloc(PAGES, PTFRAG_DESC_SIZE);
  CHECK(pages.memory != NULL && pages.descs != NULL);
  CHECK((uintptr_t)pages.descs % PTFRAG_DESC_ALIGN == 0);
  memset(pages.memory, 0, (size_t)PAGES * 4096);
  for (size_t nth = 0; nth < PAGES; nth++) {
    pages.stack[pages.free++] = nth;
  }

  ptfrag_parts parts;
  memset(&parts, 0, sizeof parts);
  parts.context = &pages;
  parts.page_size = 4096;
  CHECK(ptfrag_mm_new_with(&parts, 16) == NULL);
  parts.read_lock = own_read_lock;
  parts.read_unlock = own_read_unlock;
  parts.call = own_call;
  parts.page_get = page_get;
  parts.page_put = page_put;
  parts.desc_of = desc_of;
  parts.page_of = page_of;
  parts.page_in = page_in;
  parts.page_out = page_out;
  parts.reclaim = reclaim;

  struct scene scene;
  memset(&scene, 0, sizeof scene);
  scene.mm = ptfrag_mm_new_with(&parts, 4096 / BYTES);
  CHECK(scene.mm != NULL);
  collapse(&scene);
  while (own_drive() != 0) {
  }
  CHECK(pages.free == PAGES);
  CHECK(pages.in == pages.out && pages.in != 0 && pages.reclaimed > rounds / 2);
  free(pages.memory);
  free(pages.descs);
}

int main(int count, char **arguments) {
  if (count > 1) {
    rounds = (size_t)atol(arguments[1]);
  }
  built_in();
  own_parts();
  puts("all is home");
  return 0;
}
