// Functions of a table that are left by an exception, or by the end of their thread: the process ends, and nothing goes on.

#include "pages.h"

#include <stdexcept>

static struct own own;

static bool throwing_get(void *, uint8_t **, void **) { throw std::runtime_error("no page"); }

static bool ending_get(void *, uint8_t **, void **) { pthread_exit(nullptr); }

static void throwing_reclaim(void *, uint8_t *) { throw 7; }

static void throwing_call(void *, ptfrag_rcu_head *, ptfrag_rcu_func) { throw 7; }

static void *play(void *argument) {
  const char *name = static_cast<const char *>(argument);
  init_own(&own);
  ptfrag_parts parts = parts_of(&own);
  set_own_rcu(&parts, true);
  set_pages(&parts);
  if (strcmp(name, "get") == 0) {
    parts.page_get = throwing_get;
  } else if (strcmp(name, "exit") == 0) {
    parts.page_get = ending_get;
  } else if (strcmp(name, "reclaim") == 0) {
    parts.reclaim = throwing_reclaim;
  } else {
    parts.call = throwing_call;
  }
  try {
    ptfrag_mm *mm = ptfrag_mm_new_with(&parts, 16);
    ptfrag_retire(mm, ptfrag_alloc(mm));
    own_drive(&own.rcu);
  } catch (...) {
    puts("it came through");
  }
  return nullptr;
}

int main(int, char **arguments) {
  pthread_t thread;
  CHECK(pthread_create(&thread, nullptr, play, arguments[1]) == 0);
  CHECK(pthread_join(thread, nullptr) == 0);
  puts("the process goes on");
  return 0;
}
