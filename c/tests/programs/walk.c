/* Readers and collapsers over the built-in parts, over an RCU, lock, pages and hooks of the program's own, and over some of
 * each. */

#include "pages.h"
#include "table.h"

static ptfrag_domain *domain;

/* Walks with a section of the domain. */
static void walk_built_in(struct scene *scene) {
  static size_t walks;
  ptfrag_section section = ptfrag_read_lock(domain);
  walk_table(scene);
  if (__atomic_fetch_add(&walks, 1, __ATOMIC_RELAXED) % 2 == 0) {
    ptfrag_read_unlock(section);
  } else {
    ptfrag_read_unlock_and_poll(domain, section);
  }
}

static size_t drive_built_in(struct scene *scene) {
  (void)scene;
  return ptfrag_poll(domain);
}

static void walk_own(struct scene *scene) {
  lock_sections();
  walk_table(scene);
  unlock_sections();
}

static size_t drive_own(struct scene *scene) { return own_drive((struct own_rcu *)scene->context); }

static struct scene scene_of(ptfrag_mm *mm, bool handles) {
  struct scene scene;
  memset(&scene, 0, sizeof scene);
  scene.mm = mm;
  scene.walk = walk_built_in;
  scene.drive = drive_built_in;
  scene.handles = handles;
  return scene;
}

static void built_in(bool handles) {
  domain = ptfrag_domain_new();
  ptfrag_region *region = ptfrag_region_new(4096, 2048);
  struct scene scene = scene_of(ptfrag_mm_new(domain, region, 16), handles);
  play(&scene);
  come_home(domain, region);
  ptfrag_region_free(region);
  ptfrag_domain_free(domain);
}

static void own_parts(bool tickets) {
  static struct own own;
  init_own(&own);
  ptfrag_parts parts = parts_of(&own);
  set_own_rcu(&parts, tickets);
  set_pages(&parts);
  set_hooks(&parts);
  set_lock(&parts);
  struct scene scene = scene_of(ptfrag_mm_new_with(&parts, 16), false);
  scene.context = &own.rcu;
  scene.walk = walk_own;
  scene.drive = drive_own;
  play(&scene);
  while (own_drive(&own.rcu) != 0) {
  }
  CHECK(own.free == PAGES);
  CHECK(own.rcu.entered >= rounds && own.rcu.entered == own.rcu.left);
  CHECK(own.in == own.out && own.in != 0 && own.reclaimed > rounds && own.locked != 0);
}

/* The built-in RCU with the program's pages and hooks. */
static void own_pages(void) {
  static struct own own;
  init_own(&own);
  domain = ptfrag_domain_new();
  ptfrag_parts parts = parts_of(&own);
  parts.domain = domain;
  set_pages(&parts);
  set_hooks(&parts);
  struct scene scene = scene_of(ptfrag_mm_lanes(ptfrag_mm_new_with(&parts, 16), 4), false);
  play(&scene);
  while (own.free != PAGES) {
    ptfrag_barrier(domain);
  }
  CHECK(own.in == own.out && own.in != 0 && own.reclaimed > rounds && own.rcu.calls == 0);
  ptfrag_domain_free(domain);
}

/* The program's RCU with built-in pages. */
static void own_rcu(void) {
  static struct own own;
  init_own(&own);
  ptfrag_region *region = ptfrag_region_new(4096, 2048);
  ptfrag_parts parts = parts_of(&own);
  set_own_rcu(&parts, true);
  parts.region = region;
  struct scene scene = scene_of(ptfrag_mm_lanes(ptfrag_mm_new_with(&parts, 16), 4), true);
  scene.context = &own.rcu;
  scene.walk = walk_own;
  scene.drive = drive_own;
  play(&scene);
  while (own_drive(&own.rcu) != 0) {
  }
  CHECK(ptfrag_region_pages_out(region) == 0);
  ptfrag_region_free(region);
}

int main(int count, char **arguments) {
  set_rounds(count, arguments);
  built_in(false);
  built_in(true);
  own_parts(false);
  own_parts(true);
  own_pages();
  own_rcu();
  puts("all is home");
  return 0;
}
