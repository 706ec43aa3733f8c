/* liburcu as the RCU, memb flavour: with its own call_rcu, whose callbacks run on a thread of that library's; and with its sections
 * and synchronize_rcu under a call that has tickets. */

#include "own_rcu.h"
#include "table.h"

#include <urcu/urcu-memb.h>

static_assert(sizeof(struct rcu_head) <= sizeof(ptfrag_rcu_head), "its head fits");

static void urcu_lock(void *context) {
  (void)context;
  urcu_memb_read_lock();
}

static void urcu_unlock(void *context) {
  (void)context;
  urcu_memb_read_unlock();
}

static void urcu_call(void *context, ptfrag_rcu_head *head, ptfrag_rcu_func func) {
  (void)context;
  urcu_memb_call_rcu((struct rcu_head *)(void *)head, (void (*)(struct rcu_head *))func);
}

static void walk(struct scene *scene) {
  urcu_memb_read_lock();
  walk_table(scene);
  urcu_memb_read_unlock();
}

static size_t let_run(struct scene *scene) {
  (void)scene;
  sched_yield();
  return 0;
}

static size_t drive(struct scene *scene) { return own_drive((struct own_rcu *)scene->context); }

static void with(ptfrag_parts *parts, struct own_rcu *own) {
  ptfrag_region *region = ptfrag_region_new(4096, 1 << 16);
  parts->region = region;
  struct scene scene;
  memset(&scene, 0, sizeof scene);
  scene.mm = ptfrag_mm_new_with(parts, 16);
  scene.context = own;
  scene.begin = urcu_memb_register_thread;
  scene.end = urcu_memb_unregister_thread;
  scene.walk = walk;
  scene.drive = own != NULL ? drive : let_run;
  play(&scene);
  /* A page needs several rounds on its way home. */
  while (ptfrag_region_pages_out(region) != 0) {
    if (own != NULL) {
      own_drive(own);
    } else {
      urcu_memb_barrier();
    }
  }
  ptfrag_region_free(region);
}

int main(int count, char **arguments) {
  set_rounds(count, arguments);
  /* Whoever enters sections or calls call_rcu is registered, and calls do not make the worker. */
  urcu_memb_register_thread();
  CHECK(urcu_memb_get_default_call_rcu_data() != NULL);
  ptfrag_parts parts;
  memset(&parts, 0, sizeof parts);
  parts.read_lock = urcu_lock;
  parts.read_unlock = urcu_unlock;
  parts.call = urcu_call;
  with(&parts, NULL);

  struct own_rcu own;
  init_own_rcu(&own);
  own.read_lock = urcu_memb_read_lock;
  own.read_unlock = urcu_memb_read_unlock;
  own.synchronize = urcu_memb_synchronize_rcu;
  memset(&parts, 0, sizeof parts);
  parts.context = &own;
  set_own_rcu(&parts, true);
  with(&parts, &own);
  urcu_memb_unregister_thread();
  puts("all is home");
  return 0;
}
