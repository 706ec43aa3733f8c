/* Where a thread ends, and a program: what works in destructors of a thread's own data and in functions of atexit, when this
 * library's thread-locals are gone; and an end with sections open and things queued. */

#include "test.h"

static ptfrag_domain *domain;
static ptfrag_region *region;
static ptfrag_mm *mm;

/* What a user of the mm does. */
static void work(size_t rounds) {
  for (size_t round = 0; round < rounds; round++) {
    ptfrag_section section = ptfrag_read_lock(domain);
    uint8_t *frag = ptfrag_alloc(mm);
    if (frag != NULL) {
      ptfrag_retire(mm, frag);
    }
    ptfrag_read_unlock_and_poll(domain, section);
  }
}

struct thing {
  ptfrag_rcu_head head; /* comes first */
  bool ran;
};

static void thing_over(ptfrag_rcu_head *head) {
  __atomic_store_n(&((struct thing *)(void *)head)->ran, true, __ATOMIC_RELEASE);
}

/* Without thread-locals polls do nothing, and a barrier does. */
static void late_work(void) {
  static struct thing thing;
  thing.ran = false;
  ptfrag_call(domain, &thing.head, thing_over);
  work(100);
  for (size_t at = 0; at < 300; at++) {
    CHECK(ptfrag_poll(domain) == 0);
    ptfrag_read_unlock_and_poll(domain, ptfrag_read_lock(domain));
  }
  CHECK(!thing.ran);
  ptfrag_synchronize(domain);
  ptfrag_barrier(domain);
  CHECK(thing.ran);
}

static void at_end_of_thread(void *value) {
  (void)value;
  late_work();
}

static void *short_thread(void *key) {
  CHECK(pthread_setspecific(*(pthread_key_t *)key, key) == 0);
  work(1000);
  return NULL;
}

static void at_end_of_process(void) {
  late_work();
  ptfrag_mm_free(mm);
  come_home(domain, region);
  ptfrag_region_free(region);
  ptfrag_domain_free(domain);
  puts("all is home");
}

static void *busy_thread(void *argument) {
  if (argument != NULL) {
    (void)ptfrag_read_lock(domain);
  }
  for (;;) {
    work(100);
  }
  return NULL;
}

int main(int count, char **arguments) {
  domain = ptfrag_domain_new();
  region = ptfrag_region_new(4096, 1024);
  mm = ptfrag_mm_new(domain, region, 16);
  if (count > 1 && strcmp(arguments[1], "busy") == 0) {
    pthread_t threads[3];
    for (size_t at = 0; at < 3; at++) {
      CHECK(pthread_create(&threads[at], NULL, busy_thread, at == 0 ? threads : NULL) == 0);
    }
    work(1000);
    puts("all is home"); /* as far as this program cares */
    exit(0);
  }
  pthread_key_t key;
  pthread_t thread;
  CHECK(pthread_key_create(&key, at_end_of_thread) == 0);
  CHECK(pthread_create(&thread, NULL, short_thread, &key) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(atexit(at_end_of_process) == 0);
  work(1000);
  return 0;
}
