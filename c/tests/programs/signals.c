/* Sections, retirements and calls in a signal handler that interrupts its thread anywhere: before each instruction ("step"), or
 * whenever another thread likes it ("kill"). While the handler's section is open, that other thread moves the domain on as far as
 * it goes. No callback runs early, and none in the handler. */

#include "test.h"

#include <signal.h>

enum { VALUES = 1 << 20, SIGNALS = 300 };

static ptfrag_domain *domain;
static ptfrag_mm *mm;
static uint8_t *published;

/* Something that is spoilt after a grace period. */
struct value {
  ptfrag_rcu_head head; /* comes first */
  bool spoilt;
};

static struct value values[VALUES];
static size_t used;
static __thread volatile sig_atomic_t in_handler;
static size_t handled, in_the_handler, early;

static void spoil(ptfrag_rcu_head *head) {
  struct value *value = (struct value *)(void *)head;
  __atomic_fetch_add(&in_the_handler, in_handler != 0, __ATOMIC_RELAXED);
  __atomic_store_n(&value->spoilt, true, __ATOMIC_RELAXED);
}

/* In handlers too. */
static struct value *queue(void) {
  size_t number = __atomic_fetch_add(&used, 1, __ATOMIC_RELAXED);
  CHECK(number < VALUES);
  ptfrag_call(domain, &values[number].head, spoil);
  return &values[number];
}

/* What is asked of the other thread, and whether it is from inside a section. It takes no lock that the interrupted thread may
 * hold: the mm keeps its pages, so that none of them goes home. */
static size_t asked, answered;
static bool inside, over;

static void ask(void) {
  size_t number = __atomic_load_n(&asked, __ATOMIC_RELAXED) + 1;
  __atomic_store_n(&asked, number, __ATOMIC_RELEASE);
  while (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) < number) {
    sched_yield();
  }
}

static void answer(void) {
  bool in_section = __atomic_load_n(&inside, __ATOMIC_RELAXED);
  struct value *value = queue();
  for (size_t at = 0; at < (in_section ? 5 : 20); at++) {
    ptfrag_poll(domain);
    if (!in_section) {
      queue();
    }
  }
  bool spoilt = __atomic_load_n(&value->spoilt, __ATOMIC_RELAXED);
  early += in_section && spoilt;
}

static void *other(void *argument) {
  pthread_t *killed = (pthread_t *)argument;
  size_t sent = 0;
  for (size_t number = 1; !__atomic_load_n(&over, __ATOMIC_ACQUIRE);) {
    if (__atomic_load_n(&asked, __ATOMIC_ACQUIRE) >= number) {
      answer();
      __atomic_store_n(&answered, number++, __ATOMIC_RELEASE);
    } else if (killed != NULL && sent == __atomic_load_n(&handled, __ATOMIC_ACQUIRE)) {
      sent++;
      CHECK(pthread_kill(*killed, SIGUSR1) == 0);
    } else {
      sched_yield();
    }
  }
  return NULL;
}

static void on_signal(int signal) {
  (void)signal;
  in_handler = 1;
  ask();
  ptfrag_section outer = ptfrag_read_lock(domain);
  ptfrag_section inner = ptfrag_read_lock(domain);
  uint8_t *old = __atomic_exchange_n(&published, (uint8_t *)NULL, __ATOMIC_ACQ_REL);
  if (old != NULL) {
    ptfrag_retire(mm, old);
  }
  /* Not for ever, or the interrupted thread's poll has ever more to do. */
  if (handled < 400 && handled % 8 == 0) {
    queue();
  }
  ptfrag_read_unlock(inner);
  __atomic_store_n(&inside, true, __ATOMIC_RELAXED);
  ask();
  __atomic_store_n(&inside, false, __ATOMIC_RELAXED);
  ptfrag_read_unlock(outer);
  /* So many that whoever leaves them would run callbacks, if anybody did. */
  for (size_t at = 0; at < 200; at++) {
    ptfrag_read_unlock(ptfrag_read_lock(domain));
  }
  in_handler = 0;
  __atomic_fetch_add(&handled, 1, __ATOMIC_RELEASE);
}

static void publish(uint8_t *frag) {
  uint8_t *old = __atomic_exchange_n(&published, frag, __ATOMIC_ACQ_REL);
  if (old != NULL) {
    ptfrag_retire(mm, old);
  }
}

/* What is interrupted. */
static void work(uint8_t *frag) {
  ptfrag_section section = ptfrag_read_lock(domain);
  publish(frag);
  ptfrag_section nested = ptfrag_read_lock(domain);
  ptfrag_read_unlock(nested);
  ptfrag_read_unlock(section);
  queue();
  publish(NULL);
  ptfrag_poll(domain);
  ptfrag_read_unlock_and_poll(domain, ptfrag_read_lock(domain));
}

static void step(void) {
#if defined(__x86_64__) && defined(__linux__)
  uint8_t *frag = ptfrag_alloc(mm);
  /* The flag of the processor that traps after each instruction. What is below the stack may be in use. */
  __asm__ volatile("lea -128(%%rsp), %%rsp\n pushfq\n orq $0x100, (%%rsp)\n popfq\n lea 128(%%rsp), %%rsp" ::
                       : "memory", "cc");
  work(frag);
  __asm__ volatile("lea -128(%%rsp), %%rsp\n pushfq\n andq $~0x100, (%%rsp)\n popfq\n lea 128(%%rsp), %%rsp" ::
                       : "memory", "cc");
  CHECK(handled > 500);
#endif
}

static void be_killed(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  while (__atomic_load_n(&handled, __ATOMIC_ACQUIRE) < SIGNALS) {
    /* Allocations are not for handlers to interrupt, as the other thread's callbacks come to the same locks. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    uint8_t *frag = ptfrag_alloc(mm);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    work(frag);
    sched_yield();
  }
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int main(int count, char **arguments) {
  bool steps = count > 1 && strcmp(arguments[1], "step") == 0;
  domain = ptfrag_domain_new();
  ptfrag_region *region = ptfrag_region_new(4096, 64);
  mm = ptfrag_mm_keeping(ptfrag_mm_new(domain, region, 16), 64);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  CHECK(sigaction(steps ? SIGTRAP : SIGUSR1, &action, NULL) == 0);

  /* The handler's sections are not the thread's first. */
  ptfrag_read_unlock(ptfrag_read_lock(domain));
  pthread_t me = pthread_self(), thread;
  CHECK(pthread_create(&thread, NULL, other, steps ? NULL : &me) == 0);
  if (steps) {
    step();
  } else {
    be_killed();
  }
  __atomic_store_n(&over, true, __ATOMIC_RELEASE);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(early == 0 && in_the_handler == 0);
  publish(NULL);
  ptfrag_barrier(domain);
  for (size_t at = 0; at < used; at++) {
    CHECK(values[at].spoilt);
  }
  ptfrag_mm_free(mm);
  come_home(domain, region);
  ptfrag_region_free(region);
  ptfrag_domain_free(domain);
  puts("all is home");
  return 0;
}
