/* What a caller does wrong, by name. Each of these ends the process, with a text. */

#include "pages.h"

static ptfrag_domain *domain;
static ptfrag_region *region;
static ptfrag_mm *mm;

static uint8_t *some(void) {
  uint8_t *frag = ptfrag_alloc(mm);
  CHECK(frag != NULL);
  return frag;
}

static void double_free(void) {
  uint8_t *frag = some();
  some();
  ptfrag_give_back(mm, frag);
  ptfrag_retire(mm, frag);
}

static void foreign_pointer(void) {
  uint8_t local = 0;
  ptfrag_retire(mm, &local);
}

static void bad_pointer(void) { ptfrag_give_back(mm, some() + 8); }

static void wrong_mm(void) {
  ptfrag_mm *other = ptfrag_mm_new(domain, region, 16);
  ptfrag_retire(other, some());
}

static void null_pointer(void) { ptfrag_retire(mm, NULL); }

static void origin_double_free(void) {
  ptfrag_origin *origin = ptfrag_origin_new(mm);
  uint8_t *frag = some();
  some();
  ptfrag_mm_free(mm);
  ptfrag_origin_retire(origin, frag);
  ptfrag_origin_retire(origin, frag);
}

static void local_wrong_mm(void) {
  ptfrag_mm *other = ptfrag_mm_new(domain, region, 16);
  ptfrag_local_retire(ptfrag_local_new(other), some());
}

static void keeping_late(void) {
  some();
  ptfrag_mm_keeping(mm, 1);
}

static void three_lanes(void) { ptfrag_mm_lanes(mm, 3); }

static void write_after_free(void) {
  uint8_t *frag = some();
  uint8_t *last[15];
  for (size_t at = 0; at < 15; at++) {
    last[at] = some();
  }
  ptfrag_give_back(mm, frag); /* alone free, so the list's node is in it */
  memset(frag, 0xee, 16);
  ptfrag_give_back(mm, last[0]);
  for (size_t at = 1; at < 15; at++) {
    ptfrag_give_back(mm, last[at]);
  }
}

static void barrier_in_section(void) {
  (void)ptfrag_read_lock(domain);
  ptfrag_barrier(domain);
}

static void synchronize_in_section(void) {
  (void)ptfrag_read_lock(domain);
  ptfrag_synchronize(domain);
}

static void barrier_here(ptfrag_rcu_head *head) {
  (void)head;
  ptfrag_barrier(domain);
}

static void barrier_in_callback(void) {
  static ptfrag_rcu_head head;
  ptfrag_call(domain, &head, barrier_here);
  ptfrag_barrier(domain);
}

static void no_head(void) { ptfrag_call(domain, NULL, barrier_here); }

/* Pages whose descriptors do not lead to each other. */

static struct own own;

static void *first_desc(void *context, const uint8_t *address) {
  (void)context;
  (void)address;
  return page_descs[0];
}

static void *desc_of_first_byte(void *context, const uint8_t *address) {
  return (uintptr_t)address % PAGE_BYTES == 0 ? desc_of(context, address) : NULL;
}

static uint8_t *first_page(void *context, const void *desc) {
  (void)context;
  (void)desc;
  return page_memory[0];
}

static bool crooked_page(void *context, uint8_t **page, void **desc) {
  bool some = page_get(context, page, desc);
  *page += 16;
  return some;
}

static bool crooked_desc(void *context, uint8_t **page, void **desc) {
  bool some = page_get(context, page, desc);
  *desc = (uint8_t *)*desc + 4;
  return some;
}

static bool no_desc(void *context, uint8_t **page, void **desc) {
  bool some = page_get(context, page, desc);
  *desc = NULL;
  return some;
}

static ptfrag_parts own_pages(void) {
  init_own(&own);
  ptfrag_parts parts = parts_of(&own);
  parts.domain = domain;
  set_pages(&parts);
  return parts;
}

static void with(ptfrag_parts *parts) { ptfrag_alloc(ptfrag_mm_new_with(parts, 16)); }

#define WITH(name, field, value)      \
  static void name(void) {            \
    ptfrag_parts parts = own_pages(); \
    parts.field = value;              \
    with(&parts);                     \
  }

WITH(wrong_desc, desc_of, first_desc)
WITH(half_a_page, desc_of, desc_of_first_byte)
WITH(wrong_page, page_of, first_page)
WITH(page_not_aligned, page_get, crooked_page)
WITH(desc_not_aligned, page_get, crooked_desc)
WITH(desc_missing, page_get, no_desc)

#define SCENE(name) {#name, name}

int main(int count, char **arguments) {
  static const struct {
    const char *name;
    void (*play)(void);
  } scenes[] = {
      SCENE(double_free),        SCENE(foreign_pointer),        SCENE(bad_pointer),
      SCENE(wrong_mm),           SCENE(null_pointer),           SCENE(origin_double_free),
      SCENE(local_wrong_mm),     SCENE(keeping_late),           SCENE(three_lanes),
      SCENE(write_after_free),   SCENE(barrier_in_section),     SCENE(synchronize_in_section),
      SCENE(barrier_in_callback), SCENE(no_head),               SCENE(wrong_desc),
      SCENE(half_a_page),        SCENE(wrong_page),             SCENE(page_not_aligned),
      SCENE(desc_not_aligned),   SCENE(desc_missing),
  };
  domain = ptfrag_domain_new();
  region = ptfrag_region_new(4096, 8);
  mm = ptfrag_mm_new(domain, region, 16);
  for (size_t at = 0; count > 1 && at < sizeof scenes / sizeof *scenes; at++) {
    if (strcmp(scenes[at].name, arguments[1]) == 0) {
      scenes[at].play();
      puts("nothing was noticed");
      return 0;
    }
  }
  puts("no such scene");
  return 0;
}
