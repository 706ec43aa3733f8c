/* All geometries, one after the other, and what an mm does besides handing out. */

#include "test.h"

enum { HELD = 40 };

/* Fills two pages and a bit, looks at where the fragments lie, and frees them in each way. */
static void fill(ptfrag_domain *domain, size_t page, size_t fragments) {
  size_t size = page / fragments;
  ptfrag_region *region = ptfrag_region_new(page, 8);
  ptfrag_mm *mm = ptfrag_mm_keeping(ptfrag_mm_new(domain, region, fragments), 1);
  CHECK(region != NULL && mm != NULL && ptfrag_mm_pages(mm) == 0);
  uint8_t *held[HELD];
  size_t count = 2 * fragments + 1;
  for (size_t at = 0; at < count; at++) {
    held[at] = ptfrag_alloc(mm);
    CHECK(held[at] != NULL && (uintptr_t)held[at] % size == 0);
    memset(held[at], (int)at, size);
  }
  CHECK(ptfrag_mm_pages(mm) == 3 && ptfrag_region_pages_out(region) == 3);
  for (size_t at = 0; at < count; at++) {
    CHECK(held[at][0] == at);
    check_block(held[at], size);
    if (at % 2 == 0) {
      ptfrag_give_back(mm, held[at]);
    } else {
      ptfrag_retire(mm, held[at]);
    }
  }
  /* One that is empty is kept. */
  while (ptfrag_mm_pages(mm) != 1) {
    ptfrag_barrier(domain);
  }
  CHECK(ptfrag_mm_shrink(mm) == 1 && ptfrag_mm_shrink(mm) == 0 && ptfrag_mm_pages(mm) == 0);

  /* Closed it hands out nothing, and takes back. */
  uint8_t *last = ptfrag_alloc(mm);
  CHECK(last != NULL);
  ptfrag_mm_close(mm);
  ptfrag_mm_close(mm);
  CHECK(ptfrag_alloc(mm) == NULL && ptfrag_mm_pages(mm) == 1);
  ptfrag_retire(mm, last);
  come_home(domain, region);
  ptfrag_mm_free(mm);
  ptfrag_region_free(region);
}

/* The mm goes first, and then what came from it. */
static void outlive(ptfrag_domain *domain) {
  ptfrag_region *region = ptfrag_region_new(4096, 8);
  ptfrag_mm *mm = ptfrag_mm_new(domain, region, 16);
  uint8_t *frags[4];
  for (size_t at = 0; at < 4; at++) {
    frags[at] = ptfrag_alloc(mm);
  }
  ptfrag_local *local = ptfrag_local_new(mm);
  ptfrag_origin *origin = ptfrag_origin_new(mm);
  ptfrag_mm_free(mm);
  ptfrag_origin_retire(origin, frags[0]);
  ptfrag_origin_give_back(origin, frags[1]);
  ptfrag_local_retire(local, frags[2]);
  ptfrag_local_give_back(local, frags[3]);
  ptfrag_origin_free(origin);
  CHECK(ptfrag_region_pages_out(region) == 1);
  ptfrag_local_free(local);
  come_home(domain, region);
  ptfrag_region_free(region);
}

/* A region that is full has nothing to hand out, and has when something has come back. */
static void run_out(ptfrag_domain *domain) {
  ptfrag_region *region = ptfrag_region_new(65536, 1);
  ptfrag_mm *mm = ptfrag_mm_new(domain, region, 2);
  uint8_t *frags[2] = {ptfrag_alloc(mm), ptfrag_alloc(mm)};
  CHECK(frags[0] != NULL && frags[1] != NULL && ptfrag_alloc(mm) == NULL);
  ptfrag_retire(mm, frags[0]);
  CHECK(ptfrag_alloc(mm) == NULL);
  ptfrag_barrier(domain);
  frags[0] = ptfrag_alloc(mm);
  CHECK(frags[0] != NULL);
  ptfrag_give_back(mm, frags[0]);
  ptfrag_give_back(mm, frags[1]);
  CHECK(ptfrag_region_pages_out(region) == 0);
  ptfrag_mm_free(mm);
  ptfrag_region_free(region);
}

static void nothing(ptfrag_domain *domain) {
  CHECK(ptfrag_region_new(1000, 10) == NULL);
  CHECK(ptfrag_region_new(4096, 0) == NULL);
  CHECK(ptfrag_region_new(4096, SIZE_MAX / 8) == NULL);
  ptfrag_region *region = ptfrag_region_new(4096, 1);
  size_t none[] = {0, 1, 3, 32, SIZE_MAX};
  for (size_t at = 0; at < sizeof none / sizeof *none; at++) {
    CHECK(ptfrag_mm_new(domain, region, none[at]) == NULL);
  }
  CHECK(ptfrag_mm_keeping(NULL, 1) == NULL && ptfrag_mm_lanes(NULL, 2) == NULL);
  ptfrag_region_free(region);
  ptfrag_region_free(NULL);
  ptfrag_mm_free(NULL);
  ptfrag_local_free(NULL);
  ptfrag_origin_free(NULL);
  ptfrag_domain_free(NULL);
}

int main(void) {
  ptfrag_domain *domain = ptfrag_domain_new();
  for (size_t fragments = 2; fragments <= 16; fragments *= 2) {
    fill(domain, 4096, fragments);
    fill(domain, 65536, fragments);
  }
  outlive(domain);
  run_out(domain);
  nothing(domain);
  ptfrag_domain_free(domain);
  puts("all is home");
  return 0;
}
