/* Callbacks and tickets over any RCU that has sections and can wait for them. */

#ifndef OWN_RCU_H
#define OWN_RCU_H

#include "test.h"

struct own_rcu {
  void (*read_lock)(void);
  void (*read_unlock)(void);
  void (*synchronize)(void);
  ptfrag_rcu_head *queue;
  uint64_t begun, over; /* grace periods */
  size_t calls, entered, left;
  bool driven;
};

static inline void own_read_lock(void *context) {
  struct own_rcu *rcu = (struct own_rcu *)context;
  rcu->read_lock();
  __atomic_fetch_add(&rcu->entered, 1, __ATOMIC_RELAXED);
}

static inline void own_read_unlock(void *context) {
  struct own_rcu *rcu = (struct own_rcu *)context;
  __atomic_fetch_add(&rcu->left, 1, __ATOMIC_RELAXED);
  rcu->read_unlock();
}

/* Puts the head in front of a list, and has done with it. */
static inline void own_call(void *context, ptfrag_rcu_head *head, ptfrag_rcu_func func) {
  struct own_rcu *rcu = (struct own_rcu *)context;
  __atomic_fetch_add(&rcu->calls, 1, __ATOMIC_RELAXED);
  memcpy(&head->words[1], &func, sizeof func);
  ptfrag_rcu_head *top = __atomic_load_n(&rcu->queue, __ATOMIC_RELAXED);
  do {
    head->words[0] = top;
  } while (!__atomic_compare_exchange_n(&rcu->queue, &top, head, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
}

/* The number of the next grace period. A head that is queued after somebody has seen `begun` is taken off the list when it is
 * as great at least, so that it waits for a greater one. Whoever finds the same number still there has got it, and opened the
 * sections that are to be waited for, before the fence below. */
static inline uint64_t own_ticket(void *context) {
  struct own_rcu *rcu = (struct own_rcu *)context;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return __atomic_load_n(&rcu->begun, __ATOMIC_ACQUIRE) + 1;
}

/* The same without what it costs: for a head that is queued next. */
static inline uint64_t own_recent_ticket(void *context) {
  return __atomic_load_n(&((struct own_rcu *)context)->begun, __ATOMIC_ACQUIRE) + 1;
}

static inline bool own_has_elapsed(void *context, uint64_t ticket) {
  return __atomic_load_n(&((struct own_rcu *)context)->over, __ATOMIC_ACQUIRE) >= ticket;
}

/* A domain's are greater. */
static inline bool own_gave(void *context, uint64_t ticket) {
  (void)context;
  return ticket < (uint64_t)1 << 52;
}

/* Threads have numbers of their own. */
static inline size_t own_lane(void *context) {
  static size_t threads;
  static __thread size_t number;
  (void)context;
  if (number == 0) {
    number = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
  }
  return number;
}

/* Runs what was queued, after a grace period; says how many. One thread at a time does it, and the others go by. */
static inline size_t own_drive(struct own_rcu *rcu) {
  if (__atomic_exchange_n(&rcu->driven, true, __ATOMIC_ACQUIRE)) {
    return 0;
  }
  ptfrag_rcu_head *head = __atomic_exchange_n(&rcu->queue, (ptfrag_rcu_head *)NULL, __ATOMIC_ACQUIRE);
  uint64_t number = __atomic_add_fetch(&rcu->begun, 1, __ATOMIC_ACQ_REL);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  rcu->synchronize();
  __atomic_store_n(&rcu->over, number, __ATOMIC_RELEASE);
  size_t ran = 0;
  for (; head != NULL; ran++) {
    ptfrag_rcu_head *next = (ptfrag_rcu_head *)head->words[0];
    ptfrag_rcu_func func;
    memcpy(&func, &head->words[1], sizeof func);
    func(head);
    head = next;
  }
  __atomic_store_n(&rcu->driven, false, __ATOMIC_RELEASE);
  return ran;
}

/* The RCU's part of a table whose context is an `own_rcu`, or begins with one. */
static inline void set_own_rcu(ptfrag_parts *parts, bool tickets) {
  parts->read_lock = own_read_lock;
  parts->read_unlock = own_read_unlock;
  parts->call = own_call;
  parts->lane = own_lane;
  if (tickets) {
    parts->ticket = own_ticket;
    parts->recent_ticket = own_recent_ticket;
    parts->has_elapsed = own_has_elapsed;
    parts->gave = own_gave;
  }
}

/* A lock as RCU: sections hold it for reading, and who gets it for writing knows that they are over. */

static pthread_rwlock_t sections = PTHREAD_RWLOCK_INITIALIZER;

static inline void lock_sections(void) { CHECK(pthread_rwlock_rdlock(&sections) == 0); }

static inline void unlock_sections(void) { CHECK(pthread_rwlock_unlock(&sections) == 0); }

static inline void wait_for_sections(void) {
  CHECK(pthread_rwlock_wrlock(&sections) == 0);
  CHECK(pthread_rwlock_unlock(&sections) == 0);
}

static inline void init_own_rcu(struct own_rcu *rcu) {
  memset(rcu, 0, sizeof *rcu);
  rcu->read_lock = lock_sections;
  rcu->read_unlock = unlock_sections;
  rcu->synchronize = wait_for_sections;
}

#endif
