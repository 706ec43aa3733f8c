/* What all programs here share. They are C11 and C++17. */

#ifndef TEST_H
#define TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "ptfrag.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What never ends has failed. */
__attribute__((constructor)) static void do_not_hang(void) { alarm(900); }

#define CHECK(what)                                                        \
  do {                                                                     \
    if (!(what)) {                                                         \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);   \
      abort();                                                             \
    }                                                                      \
  } while (0)

/* The bytes of a block are all the same as long as somebody may read them. */
static inline void check_block(const uint8_t *block, size_t bytes) {
  for (size_t at = 1; at < bytes; at++) {
    CHECK(block[at] == block[0]);
  }
}

/* Waits until all pages of a region are home, a domain's callbacks being all that is in the way. */
static inline void come_home(const ptfrag_domain *domain, const ptfrag_region *region) {
  while (ptfrag_region_pages_out(region) != 0) {
    ptfrag_barrier(domain);
  }
}

#endif
