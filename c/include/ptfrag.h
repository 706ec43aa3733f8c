/* ptfrag for C. Made by cbindgen from c/src: `cargo test -p ptfrag-c` says when it is out of date. */

#ifndef PTFRAG_H
#define PTFRAG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// An RCU domain: readers enter its sections, and what is retired waits for them.
typedef struct ptfrag_domain ptfrag_domain;

// One pool of pages, each split into fragments.
typedef struct ptfrag_mm ptfrag_mm;

// Pages of 4096 or 65536 bytes from the system.
typedef struct ptfrag_region ptfrag_region;

// A read-side section of one thread.
typedef struct {
  // Not for C to look into.
  void *words[2];
} ptfrag_section;

// Two words with which a page waits for a grace period, for the caller's RCU to use as it likes: `struct rcu_head` of Linux
// and of liburcu fit.
typedef struct {
  // The RCU's, while the head is queued.
  void *words[2];
} ptfrag_rcu_head;

// What is called after the grace period, once, with the head that was queued.
typedef void (*ptfrag_rcu_func)(ptfrag_rcu_head *head);

// The caller's own parts. Each function gets `context` first. `page_in`, `page_out`
// and `reclaim` may be NULL.
typedef struct {
  // The caller's.
  void *context;
  // Bytes of a page: 4096 or 65536.
  size_t page_size;
  // Enters a read-side section of the calling thread. Sections nest.
  void (*read_lock)(void *context);
  // Leaves it. It must not run callbacks.
  void (*read_unlock)(void *context);
  // Has `func(head)` called when all sections are over that there are now; never from inside `call`, `read_lock` or
  // `read_unlock`. It neither waits nor fails.
  void (*call)(void *context, ptfrag_rcu_head *head, ptfrag_rcu_func func);
  // A page and its descriptor, or false when there is none. A descriptor is PTFRAG_DESC_SIZE bytes at a multiple of
  // PTFRAG_DESC_ALIGN, all zero when the page is handed out for the first time and not written by the source ever
  // after; it stays as long as any mm of these parts.
  bool (*page_get)(void *context, uint8_t **page, void **desc);
  // A page comes back. Called in callbacks, too: it does not wait for a grace period.
  void (*page_put)(void *context, uint8_t *page, void *desc);
  // The descriptor of the page in which an address lies, or NULL if it is none of the source's. Called under the mm's
  // lock and in callbacks, too: it does not wait.
  void *(*desc_of)(void *context, const uint8_t *address);
  // The first byte of a descriptor's page. Called where `desc_of` is.
  uint8_t *(*page_of)(void *context, const void *desc);
  // A page is about to be used, and is split; false refuses it (Linux: a page-table constructor).
  bool (*page_in)(void *context, uint8_t *page);
  // A page is about to go back.
  void (*page_out)(void *context, uint8_t *page);
  // The grace period of a fragment is over, and it is about to be handed out again. In callbacks.
  void (*reclaim)(void *context, uint8_t *frag);
} ptfrag_parts;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Bytes of a page descriptor.
extern const size_t PTFRAG_DESC_SIZE;

// Bytes to whose multiple a page descriptor is aligned.
extern const size_t PTFRAG_DESC_ALIGN;

// A new domain; never NULL. From any thread, not in a signal handler.
ptfrag_domain *ptfrag_domain_new(void);

// Ends a domain: runs what waits, and what that calls for. NULL is allowed. No mm of it exists any more, all that was
// allocated from them is freed, and no thread is in a section of it. Not in a section or a callback.
void ptfrag_domain_free(ptfrag_domain *domain);

// Enters a read-side section of the calling thread, to be left by ptfrag_read_unlock on the same thread, in any order with
// others. Sections nest. It never waits. From any thread; in signal handlers only where the thread has entered a
// section of this domain before, as the first one allocates.
ptfrag_section ptfrag_read_lock(const ptfrag_domain *domain);

// Leaves a section. It may run callbacks if it was the thread's outermost one, so not under a lock that they take.
void ptfrag_read_unlock(ptfrag_section section);

// Moves grace periods on and runs callbacks whose grace period is over; says how many. It never waits for readers. Not in a
// section, a callback or a signal handler.
size_t ptfrag_poll(const ptfrag_domain *domain);

// Waits until all callbacks have run that were called for before. Not in a section, a callback or a signal handler, nor
// under a lock that readers take.
void ptfrag_barrier(const ptfrag_domain *domain);

// Reserves address space for so many pages of `page_size` bytes, 4096 or 65536; NULL when the system has none, or there is
// no such page size. From any thread.
ptfrag_region *ptfrag_region_new(size_t page_size,
                                 size_t pages);

// Lets the handle of a region go. It is unmapped when its last mm is gone and everything that was allocated is freed. NULL
// is allowed.
void ptfrag_region_free(ptfrag_region *region);

// Pages that are out. From anywhere.
size_t ptfrag_region_pages_out(const ptfrag_region *region);

// An mm of a domain that draws on a region: 16, 8, 4 or 2 fragments to a page; NULL for any other number. The domain stays
// until the mm is freed and everything that was allocated from it is, and the callbacks have run. From any thread.
ptfrag_mm *ptfrag_mm_new(const ptfrag_domain *domain,
                         const ptfrag_region *region,
                         size_t fragments);

// An mm of the caller's own parts, which stay until its last page is home: with pages of 4096 or 65536 bytes, and 16, 8, 4
// or 2 fragments to a page; NULL for anything else. From any thread.
ptfrag_mm *ptfrag_mm_new_with(const ptfrag_parts *parts,
                              size_t fragments);

// Closes the mm and lets it go: never waits. What was allocated from it stays until it is freed. NULL is allowed. Not in a
// signal handler.
void ptfrag_mm_free(ptfrag_mm *mm);

// Closes the mm: it hands out nothing from its list any more.
void ptfrag_mm_close(const ptfrag_mm *pool);

// A fragment, aligned to its size, or NULL. Its bytes are what the last user left, or the reclaim hook. It takes the mm's
// lock now and then, and asks the page source, so it may sleep if that does; not in a callback that interrupts a holder of
// that lock, and not in a signal handler.
uint8_t *ptfrag_alloc(const ptfrag_mm *pool);

// Has a fragment freed after a grace period: no reader finds it any more. One exchange and at most one call of the RCU's;
// never the lock, never an allocation. From wherever the RCU's call may be called.
void ptfrag_retire(const ptfrag_mm *pool,
                   uint8_t *frag);

// Frees a fragment at once that no reader has seen. It may take the mm's lock; from wherever ptfrag_alloc may be called.
void ptfrag_give_back(const ptfrag_mm *pool,
                      uint8_t *frag);

// Sends home the empty pages that the mm keeps, and says how many there were. From wherever ptfrag_alloc may be called.
size_t ptfrag_mm_shrink(const ptfrag_mm *pool);

// Pages that the mm has. From anywhere.
size_t ptfrag_mm_pages(const ptfrag_mm *pool);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PTFRAG_H */
