/* What a table of parts may hold, what is refused, and what each entry does. */

#include "pages.h"

static struct own own;

/* So much can be had in the size of an array, and a descriptor of zeros is a new one. */
static_assert(sizeof page_descs == (size_t)PAGES * PTFRAG_DESC_SIZE, "sizes are constants");

/* Everything of the program's own. */
static ptfrag_parts whole(void) {
  init_own(&own);
  ptfrag_parts parts = parts_of(&own);
  set_own_rcu(&parts, true);
  set_pages(&parts);
  set_hooks(&parts);
  set_lock(&parts);
  return parts;
}

#define REFUSED(change)                            \
  do {                                             \
    ptfrag_parts parts = whole();                  \
    change;                                        \
    CHECK(ptfrag_mm_new_with(&parts, 16) == NULL); \
  } while (0)

static void refused(ptfrag_domain *domain, ptfrag_region *region) {
  ptfrag_parts good = whole();
  ptfrag_mm_free(ptfrag_mm_new_with(&good, 16));
  CHECK(ptfrag_mm_new_with(&good, 3) == NULL && ptfrag_mm_new_with(&good, 0) == NULL);
  REFUSED(memset(&parts, 0, sizeof parts));
  REFUSED(parts.read_lock = NULL);
  REFUSED(parts.read_unlock = NULL);
  REFUSED(parts.call = NULL);
  REFUSED(parts.page_get = NULL);
  REFUSED(parts.page_put = NULL);
  REFUSED(parts.desc_of = NULL);
  REFUSED(parts.page_of = NULL);
  REFUSED(parts.page_size = 0);
  REFUSED(parts.page_size = 8192);
  REFUSED(parts.ticket = NULL);
  REFUSED((parts.ticket = NULL, parts.has_elapsed = NULL, parts.gave = NULL));
  REFUSED(parts.has_elapsed = NULL);
  REFUSED(parts.gave = NULL);
  REFUSED(parts.lock = NULL);
  REFUSED(parts.try_lock = NULL);
  REFUSED(parts.unlock = NULL);
  REFUSED(parts.domain = domain);
  REFUSED(parts.region = region);
  ptfrag_parts other = parts_of(&own);
  other.domain = domain;
  other.region = region;
  other.page_size = 65536; /* the region's are 4096 */
  CHECK(ptfrag_mm_new_with(&other, 16) == NULL);
  other.page_size = 0;
  other.recent_ticket = own_ticket;
  CHECK(ptfrag_mm_new_with(&other, 16) == NULL);
}

/* A page that the hook refuses goes back, and the next try can succeed. */
static void page_in_refuses(void) {
  ptfrag_parts parts = whole();
  ptfrag_mm *mm = ptfrag_mm_new_with(&parts, 8);
  own.refuses = true;
  CHECK(ptfrag_alloc(mm) == NULL);
  CHECK(own.free == PAGES && ptfrag_mm_pages(mm) == 0 && own.in == 0 && own.out == 0);
  own.refuses = false;
  uint8_t *frag = ptfrag_alloc(mm);
  CHECK(frag != NULL && own.in == 1 && own.free == PAGES - 1);
  ptfrag_give_back(mm, frag);
  CHECK(own.out == 1 && own.free == PAGES);
  ptfrag_mm_free(mm);
}

/* Calls for two fragments of a page that are retired one after the other: with tickets the second one joins the first. */
static size_t calls_for_two(bool tickets) {
  ptfrag_parts parts = whole();
  if (!tickets) {
    parts.ticket = NULL;
    parts.recent_ticket = NULL;
    parts.has_elapsed = NULL;
    parts.gave = NULL;
  }
  ptfrag_mm *mm = ptfrag_mm_new_with(&parts, 16);
  uint8_t *frags[2] = {ptfrag_alloc(mm), ptfrag_alloc(mm)};
  for (size_t at = 0; at < 2; at++) {
    memset(frags[at], 7, 256);
    ptfrag_retire(mm, frags[at]);
  }
  while (own_drive(&own.rcu) != 0) {
  }
  CHECK(own.free == PAGES && own.reclaimed == 2);
  ptfrag_mm_free(mm);
  return own.rcu.calls;
}

/* Nobody gets a ticket any more when its grace period has begun, and it is over afterwards. */
static uint64_t given;

static void wait_and_look(void) {
  CHECK(own_ticket(&own.rcu) > given && own_recent_ticket(&own.rcu) > given);
  CHECK(!own_has_elapsed(&own.rcu, given));
  wait_for_sections();
}

static void tickets(void) {
  init_own(&own);
  own.rcu.synchronize = wait_and_look;
  for (size_t round = 0; round < 3; round++) {
    given = own_ticket(&own.rcu);
    CHECK(own_ticket(&own.rcu) == given && own_gave(&own.rcu, given));
    own_drive(&own.rcu);
    CHECK(own_has_elapsed(&own.rcu, given));
  }
}

/* Each mm has the lock of its own table, also in its lanes; one without has a spin lock. */
static void locks(void) {
  static struct own second;
  init_own(&second);
  ptfrag_region *region = ptfrag_region_new(4096, 8);
  ptfrag_parts with = whole(), other = parts_of(&second), without = parts_of(&second);
  set_own_rcu(&other, false);
  set_own_rcu(&without, false);
  set_lock(&other);
  other.region = region;
  without.region = region;
  ptfrag_mm *mms[3] = {ptfrag_mm_new_with(&with, 16), ptfrag_mm_new_with(&without, 16),
                       ptfrag_mm_lanes(ptfrag_mm_new_with(&other, 16), 2)};
  size_t first_only[2];
  for (size_t at = 0; at < 3; at++) {
    if (at == 2) {
      first_only[0] = own.locked;
      first_only[1] = second.locked;
    }
    uint8_t *frag = ptfrag_alloc(mms[at]);
    CHECK(frag != NULL);
    ptfrag_give_back(mms[at], frag);
    ptfrag_mm_free(mms[at]);
  }
  CHECK(first_only[0] != 0 && first_only[1] == 0);
  CHECK(own.locked == first_only[0] && second.locked != 0);
  CHECK(ptfrag_region_pages_out(region) == 0);
  ptfrag_region_free(region);
}

static void check_zero(const uint8_t *frag) {
  CHECK(frag != NULL && frag[0] == 0);
  check_block(frag, 512);
}

/* Fragments that are always zero, of the program's pages and of a region's, however they come back. */
static void zeroed(ptfrag_domain *domain, ptfrag_region *region) {
  for (size_t built_in = 0; built_in < 2; built_in++) {
    ptfrag_parts parts = whole();
    memset(page_memory, 0xff, sizeof page_memory);
    if (built_in != 0) {
      parts = parts_of(&own);
      parts.domain = domain;
      parts.region = region;
    }
    parts.zeroed = true;
    ptfrag_mm *mm = ptfrag_mm_new_with(&parts, 8);
    ptfrag_local *local = ptfrag_local_new(mm);
    for (size_t round = 0; round < 100; round++) {
      uint8_t *frag = round % 4 == 0 ? ptfrag_local_alloc(local) : ptfrag_alloc(mm);
      check_zero(frag);
      memset(frag, 0xee, 512);
      if (round % 4 == 0) {
        ptfrag_local_give_back(local, frag);
      } else if (round % 2 == 0) {
        ptfrag_give_back(mm, frag);
      } else {
        ptfrag_retire(mm, frag);
      }
      if (round % 8 == 7) {
        own_drive(&own.rcu);
        ptfrag_poll(domain);
      }
    }
    ptfrag_local_free(local);
    ptfrag_mm_free(mm);
    while (own_drive(&own.rcu) != 0) {
    }
    come_home(domain, region);
    CHECK(own.free == PAGES && own.in == own.out && (own.in == 0) == (built_in != 0));
  }
}

/* Heads of the program's own in a domain. */
struct thing {
  ptfrag_rcu_head head; /* comes first */
  ptfrag_domain *domain;
  size_t again, ran;
};

static void thing_over(ptfrag_rcu_head *head) {
  struct thing *thing = (struct thing *)(void *)head;
  thing->ran++;
  if (thing->again != 0) {
    thing->again--;
    memset(head, 0xa5, sizeof *head);
    ptfrag_call(thing->domain, head, thing_over);
  }
}

static void heads(ptfrag_domain *domain) {
  struct thing thing;
  memset(&thing, 0xa5, sizeof thing);
  thing.domain = domain;
  thing.again = 2;
  thing.ran = 0;
  ptfrag_section outer = ptfrag_read_lock(domain);
  ptfrag_section inner = ptfrag_read_lock(domain);
  ptfrag_call(domain, &thing.head, thing_over);
  ptfrag_read_unlock_and_poll(domain, outer);
  for (size_t at = 0; at < 10; at++) {
    CHECK(ptfrag_poll(domain) == 0 && thing.ran == 0);
  }
  ptfrag_read_unlock(inner);
  ptfrag_synchronize(domain);
  CHECK(thing.ran == 0);
  while (thing.ran < 3) {
    ptfrag_barrier(domain);
  }
  /* Sections that are left so run callbacks now and then. */
  thing.ran = 0;
  ptfrag_call(domain, &thing.head, thing_over);
  size_t sections = 0;
  for (; thing.ran == 0 && sections < 1000; sections++) {
    ptfrag_read_unlock_and_poll(domain, ptfrag_read_lock(domain));
  }
  CHECK(thing.ran == 1);
}

int main(void) {
  ptfrag_domain *domain = ptfrag_domain_new();
  ptfrag_region *region = ptfrag_region_new(4096, 64);
  refused(domain, region);
  page_in_refuses();
  CHECK(calls_for_two(true) == 1 && calls_for_two(false) == 2);
  tickets();
  locks();
  zeroed(domain, region);
  heads(domain);
  ptfrag_region_free(region);
  ptfrag_domain_free(domain);
  puts("all is home");
  return 0;
}
