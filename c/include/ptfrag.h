/* ptfrag for C. Made by cbindgen from c/src: `cargo test -p ptfrag-c` says when it is out of date. */

// Each function says in which contexts it may be called: in which sections, callbacks and locks, and whether in signal handlers.
// Callbacks are what an RCU calls after a grace period: the `func` of ptfrag_call, and of an mm's parts reclaim, page_out and
// page_put. The built-in domain runs them in ptfrag_poll, ptfrag_barrier, ptfrag_read_unlock_and_poll and ptfrag_domain_free, on
// the thread that calls these, and nowhere else: so a program calls one of them now and then. In every context threads of whatever
// origin can call; two that use one mm, domain, region or origin at the same time do no harm, unless one frees it.
//
// A caller's bug that memory safety rests on (a second free, a foreign pointer) ends the process with a text on its standard error.
//
// The end of a process: it may end at any time, also with sections open and things queued, whose callbacks then do not run. In
// functions of atexit and destructors of a thread's own data everything works; but once the thread-locals of this library are
// gone there, as they are in the thread that has called exit, ptfrag_poll and ptfrag_read_unlock_and_poll run nothing.
// ptfrag_barrier does.
//
// After fork a child may only exec.
//
// Code that has been linked with the static library is not unloaded (dlclose) as long as anything is queued, or a thread lives
// that has called it. The shared library is never unloaded, once it has been loaded (on ELF systems).


#ifndef PTFRAG_H
#define PTFRAG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Bytes of a page descriptor.
#define PTFRAG_DESC_SIZE 40

// Bytes to whose multiple a page descriptor is aligned.
#define PTFRAG_DESC_ALIGN 8

// Words of a lock.
#define PTFRAG_LOCK_WORDS 6

// An RCU domain: readers enter its sections, and what is retired waits for them.
typedef struct ptfrag_domain ptfrag_domain;

// A handle of an mm, for a thread that allocates and retires much: it hands out what it was given back, without the pages that
// others use. One thread uses it at a time. It may outlive its mm.
typedef struct ptfrag_local ptfrag_local;

// One pool of pages, each split into fragments.
typedef struct ptfrag_mm ptfrag_mm;

// Where an mm's fragments come from: what it takes to free them when the mm is gone. It serves for all mms of the same geometry
// that were made of the same region by ptfrag_mm_new, or of the same parts by ptfrag_mm_new_with; not for one as for the other.
typedef struct ptfrag_origin ptfrag_origin;

// Pages of 4096 or 65536 bytes from the system.
typedef struct ptfrag_region ptfrag_region;

// Two words with which something waits for a grace period, for the RCU to use as it likes: `struct rcu_head` of Linux and of
// liburcu fit. It may hold anything before it is queued.
typedef struct {
  // The RCU's, while the head is queued.
  void *words[2];
} ptfrag_rcu_head;

// What is called after the grace period, once, with the head that was queued. It is left by returning, in no other way.
typedef void (*ptfrag_rcu_func)(ptfrag_rcu_head *head);

// A lock of the caller's, inside the mm: zero words are a free one. A `pthread_mutex_t` of Linux fits, initialised as
// PTHREAD_MUTEX_INITIALIZER has it.
typedef struct {
  // The caller's.
  void *words[PTFRAG_LOCK_WORDS];
} ptfrag_lock;

// The caller's own parts. Set all of it to zero (`memset`, `= {0}`), then what there is:
// - the RCU: `domain`, or else `read_lock`, `read_unlock` and `call`;
// - pages: `region`, or else `page_size`, `page_get`, `page_put`, `desc_of` and `page_of`;
// - `ticket`, `has_elapsed` and `gave`: all of them or none, and none with a domain;
// - `lock`, `try_lock` and `unlock`: all of them or none;
// - whatever else there is of use.
//
// Each function gets `context` first, may be called on any thread, and is left by returning. An exception ends the process there,
// and so does the end of the thread (pthread_exit, cancellation) if the system unwinds its stack for that. longjmp would leave
// locks and sections behind for good.
//
// The table does not change, and stays with its context and with what its functions use: as long as an mm or an origin of it
// exists, until the last page of each of its mms is home, no thread is in a function of this library for one of them, and
// none is in the tail of a `call`, between handing a head over and returning. A domain or region in it stays, too.
typedef struct {
  // The caller's.
  void *context;
  // The built-in RCU in the place of the caller's.
  const ptfrag_domain *domain;
  // Enters a read-side section of the calling thread. Sections nest: also in those of the caller. It does not wait for
  // anybody. A section that a grace period need not wait for sees everything that happened before the `call`.
  void (*read_lock)(void *context);
  // Leaves it, on the same thread. It runs no callbacks: this library and its callers hold locks there.
  void (*read_unlock)(void *context);
  // Has `func(head)` called once, on any thread, after all sections are over that there are now. What happened before `call`,
  // and in those sections, happens before `func`.
  //
  // It is called in callbacks, under the caller's locks, and on any thread that frees a fragment, also on one that was never in
  // a section. (liburcu: so each such thread is registered, and the worker was made before by get_default_call_rcu_data.) It
  // does not allocate, wait or fail. Once the head is handed over, another thread may run `func`, which may free the head and
  // all that there is of the mm: `call` touches neither any more.
  //
  // `func` itself calls `call`, for the same head or another, page_put, page_out, reclaim, desc_of, page_of, try_lock,
  // unlock and the functions of tickets, and what the caller does in those: so `call` keeps no lock while it runs any `func`,
  // nor does whoever else runs it keep one that these take. `func` never runs inside `call`, read_lock or read_unlock, nor in
  // the section or under the lock in which `call` was called. That holds of an interrupt or a signal handler as well.
  void (*call)(void *context, ptfrag_rcu_head *head, ptfrag_rcu_func func);
  // A number that differs from thread to thread or from processor to processor, for ptfrag_mm_lanes: a hint. Called in a
  // section. NULL: always zero.
  size_t (*lane)(void *context);
  // A ticket for the next grace period that has not begun, or zero. With tickets, what is retired joins a call that is in flight
  // already; without, it waits for one of its own. Linux: get_state_synchronize_rcu.
  //
  // The `func` of a head that was queued after somebody got a ticket runs only after all sections are over that there are when
  // anybody gets that ticket again. Once it has begun nobody gets the ticket again, ever. (liburcu's
  // start_poll_synchronize_rcu is none: its grace period can be over later than that of a head that was queued after it.) It
  // has no other effect, and is called where desc_of is.
  uint64_t (*ticket)(void *context);
  // A ticket that was current not long ago: no older than any that the calling thread knows of. NULL: `ticket` is cheap enough.
  uint64_t (*recent_ticket)(void *context);
  // Whether all sections are over that there were when the ticket was given: what happened in them happens before the return,
  // and sections that are entered later see what happened before the ticket. It may say no for as long as it likes.
  bool (*has_elapsed)(void *context, uint64_t ticket);
  // Whether a number that is not zero is one of this RCU's tickets. If pages are only ever used under one RCU it is; a domain's
  // tickets are never below 2 to the power of 52.
  bool (*gave)(void *context, uint64_t ticket);
  // Waits until the mm's lock is free and takes it; no callbacks run meanwhile on its thread. What the last holder did happens
  // before the return. Nobody waits who has another lock of the same mm. NULL: a spin lock.
  void (*lock)(void *context, ptfrag_lock *lock);
  // Takes it if it is free, and says so; never waits, and never lets in who has it already. In callbacks nothing but this is
  // called, unless the caller's own functions do more there than retire.
  bool (*try_lock)(void *context, ptfrag_lock *lock);
  // Lets the next one in, and does not touch the lock's memory after that: another thread may free it. (A futex may be woken by
  // its address.)
  void (*unlock)(void *context, ptfrag_lock *lock);
  // The built-in pages in the place of the caller's.
  const ptfrag_region *region;
  // Bytes of a page: 4096 or 65536; with a region its own, or 0.
  size_t page_size;
  // A page and its descriptor, or false when there is none. The page is aligned to its size, initialised, and nobody else's. A
  // descriptor is PTFRAG_DESC_SIZE bytes at a multiple of PTFRAG_DESC_ALIGN outside of pages, always the same for a page, all
  // zero when the page is handed out for the first time and not written by the source ever after; it stays as long as the table
  // does. Called outside of this library's sections and locks: it may sleep.
  bool (*page_get)(void *context, uint8_t **page, void **desc);
  // A page comes back. Called in callbacks, too: it does not wait for a grace period. Not in this library's sections or locks. It
  // happens before the page_get that hands the same page out again.
  void (*page_put)(void *context, uint8_t *page, void *desc);
  // The descriptor of the page in which an address lies, be it out or not; NULL for an address in none of the source's pages.
  // Called under an mm's lock and in callbacks, too: it does not wait, calls nothing of this library, and takes no lock that is
  // held round a call of this library.
  void *(*desc_of)(void *context, const uint8_t *address);
  // The first byte of a descriptor's page. Called where desc_of is.
  uint8_t *(*page_of)(void *context, const void *desc);
  // Whether fragments are all zero when they are handed out. Then this library clears pages and what comes back; reclaim and
  // page_in come before and after that, in this order.
  bool zeroed;
  // A page has come from its source and is about to be split; false refuses it, and it goes back (Linux: a page-table
  // constructor). Called where page_get is. What it writes stays initialised.
  bool (*page_in)(void *context, uint8_t *page);
  // A page is about to go back, called where page_put is: in callbacks, possibly long after the mm was freed, or in whichever
  // give_back, shrink, close or free empties the page.
  void (*page_out)(void *context, uint8_t *page);
  // The grace period of a retired fragment is over, and it is about to be handed out again. Called in callbacks, once for each,
  // not for what was given back. It may retire; whether it may call more of this library is said there.
  void (*reclaim)(void *context, uint8_t *frag);
} ptfrag_parts;

// A read-side section of one thread.
typedef struct {
  // Not for C to look into.
  void *words[2];
} ptfrag_section;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A new domain; never NULL. It allocates.
//
// Context: sections, callbacks, under locks; not a signal handler.
ptfrag_domain *ptfrag_domain_new(void);

// Ends a domain: runs what waits, and what that calls for. NULL is allowed. No mm of it exists any more, all that was
// allocated from them is freed, and no thread is in a section of it or in any other call with it.
//
// Context: not in a section of the domain, a callback or a signal handler, nor under a lock that callbacks take.
void ptfrag_domain_free(ptfrag_domain *domain);

// Moves grace periods on and runs callbacks whose grace period is over; says how many. It never waits for readers. In a
// section of the domain, in a callback, and where the thread's thread-locals are gone it does nothing.
//
// Context: not in a signal handler, nor under a lock that callbacks take.
size_t ptfrag_poll(const ptfrag_domain *domain);

// Waits until all callbacks have run that were called for before, by any thread, and runs some of them. Those that these
// call for are not waited for: a page can need several rounds on its way home.
//
// Context: not in a section of the domain or in a callback, where it ends the process; not in a signal handler, nor under a
// lock that readers or callbacks take.
void ptfrag_barrier(const ptfrag_domain *domain);

// Waits until all sections have been left that are open now. It runs no callbacks.
//
// Context: not in a section of the domain, where it ends the process; not in a signal handler, nor under a lock that readers
// take. A callback that waits here holds up those behind it.
void ptfrag_synchronize(const ptfrag_domain *domain);

// Has `func(head)` called after a grace period, once, on any thread that runs callbacks: for things of the caller's own. The
// head stays, and is nobody's but the domain's, until then; `func` may free what it lies in, and queue it again. `func` is not
// NULL. A few stores and an exchange: never a lock, never an allocation.
//
// Context: anywhere; signal handlers, if their thread has been in a section of the domain before.
void ptfrag_call(const ptfrag_domain *domain,
                 ptfrag_rcu_head *head,
                 ptfrag_rcu_func func);

// A handle of an mm. It allocates, about 8 KiB. What it may hold is up to 512 fragments, whose pages do not go home.
//
// Context: sections, callbacks, under locks; not a signal handler.
ptfrag_local *ptfrag_local_new(const ptfrag_mm *pool);

// Lets a handle go, and what it holds. NULL is allowed.
//
// Context: as ptfrag_give_back.
void ptfrag_local_free(ptfrag_local *local);

// A fragment, as ptfrag_alloc has it, but for what other handles hold.
//
// Context: as ptfrag_alloc.
uint8_t *ptfrag_local_alloc(ptfrag_local *handle);

// Has a fragment of the handle's mm freed after a grace period, as ptfrag_retire does. Now and then it retires up to several
// hundred in one go. It may try the mm's lock, and never waits for it. Time alone moves nothing on: only what the handle is
// used for does, or to flush it.
//
// Context: wherever the RCU's call may be called, but not a signal handler that may have interrupted the handle's user.
void ptfrag_local_retire(ptfrag_local *handle,
                         uint8_t *frag);

// Gives a fragment of the handle's mm back that no reader has seen, to be the next that the handle hands out.
//
// Context: as ptfrag_give_back.
void ptfrag_local_give_back(ptfrag_local *handle,
                            uint8_t *frag);

// Lets go of all that a handle holds, as one that is going to be idle does; it stays usable.
//
// Context: as ptfrag_give_back.
void ptfrag_local_flush(ptfrag_local *handle);

// An mm of a domain that draws on a region: 16, 8, 4 or 2 fragments to a page; NULL for any other number. The domain stays
// until the mm is freed, everything that was allocated from it is, and the callbacks have run. It allocates.
//
// Context: sections, callbacks, under locks; not a signal handler.
ptfrag_mm *ptfrag_mm_new(const ptfrag_domain *domain,
                         const ptfrag_region *region,
                         size_t fragments);

// An mm of the caller's own parts, with 16, 8, 4 or 2 fragments to a page; NULL for any other number, and for parts that are
// not whole. The parts stay as said there. It allocates, and calls no function of the table.
//
// Context: sections, callbacks, under locks; not a signal handler.
ptfrag_mm *ptfrag_mm_new_with(const ptfrag_parts *parts,
                              size_t fragments);

// Has a new mm keep so many pages that are empty, instead of none: an mm that is emptied and filled again and again draws a page
// each time otherwise. The mm is one that nothing was done with but this and the next one; `mm` is not used any more, and what
// is returned stands in its place. NULL stays NULL.
//
// Context: as ptfrag_mm_new.
ptfrag_mm *ptfrag_mm_keeping(ptfrag_mm *mm,
                             uint32_t pages);

// Gives a new mm so many lanes, a power of two up to 128: lists of pages with a lock each, so that threads that allocate at the
// same time take from different pages. Else as ptfrag_mm_keeping. With an RCU of the caller's own its `lane` says whose is whose.
//
// Context: as ptfrag_mm_new.
ptfrag_mm *ptfrag_mm_lanes(ptfrag_mm *mm,
                           size_t count);

// Closes the mm and lets it go. What was allocated from it stays, and its pages go home as it is freed: through a handle, or
// through an origin that was made of the mm before. It takes the mm's locks, and sends home what is empty; it waits neither for
// fragments nor for grace periods. No other thread uses the mm any more. NULL is allowed.
//
// Context: as ptfrag_give_back.
void ptfrag_mm_free(ptfrag_mm *mm);

// Closes the mm: it hands out nothing any more, but for what handles hold. Fragments are freed as before, and pages go home as
// soon as theirs have. It takes the mm's locks, and sends home what is empty. Twice does no harm.
//
// Context: as ptfrag_give_back.
void ptfrag_mm_close(const ptfrag_mm *pool);

// A fragment, aligned to its size, or NULL when no page is to be had or the mm is closed. Its bytes are what the last user left,
// or the reclaim hook, or zeros where the parts say `zeroed`. It enters a section of the RCU, takes the mm's lock now and then,
// and asks for a page outside of both, so it may sleep if page_get or page_in does. To try again brings nothing back: outside
// of sections ptfrag_poll or ptfrag_barrier may.
//
// Context: sections, and under locks that page_get and page_in do not take; not a signal handler. In callbacks unless one can
// interrupt a holder of the mm's lock on its own processor: callbacks of the built-in domain never do.
uint8_t *ptfrag_alloc(const ptfrag_mm *pool);

// Has a fragment freed after a grace period: no reader finds it any more. One exchange and at most one call of the RCU's;
// never the lock, never an allocation.
//
// Context: wherever the RCU's call may be called; with the built-in domain that is anywhere, as for ptfrag_call.
void ptfrag_retire(const ptfrag_mm *pool,
                   uint8_t *frag);

// Frees a fragment at once that no reader has seen. It may take the mm's lock, and send a page home: page_out and page_put.
//
// Context: sections, and under locks that page_out and page_put do not take; not a signal handler. In callbacks where ptfrag_alloc
// may be called.
void ptfrag_give_back(const ptfrag_mm *pool,
                      uint8_t *frag);

// Sends home the empty pages that the mm keeps, and says how many there were.
//
// Context: as ptfrag_give_back.
size_t ptfrag_mm_shrink(const ptfrag_mm *pool);

// Pages that the mm has, those included that only wait for a grace period. One load.
//
// Context: anywhere.
size_t ptfrag_mm_pages(const ptfrag_mm *pool);

// The origin of an mm's fragments. It stays when the mm goes, and keeps the region mapped; parts of the caller's stay until it
// is freed. It allocates.
//
// Context: sections, callbacks, under locks; not a signal handler.
ptfrag_origin *ptfrag_origin_new(const ptfrag_mm *pool);

// Lets an origin go. NULL is allowed.
//
// Context: sections, callbacks, under locks; not a signal handler.
void ptfrag_origin_free(ptfrag_origin *origin);

// ptfrag_retire, whether the fragment's mm is there or not.
//
// Context: as ptfrag_retire.
void ptfrag_origin_retire(const ptfrag_origin *from, uint8_t *frag);

// ptfrag_give_back, whether the fragment's mm is there or not.
//
// Context: as ptfrag_give_back.
void ptfrag_origin_give_back(const ptfrag_origin *from, uint8_t *frag);

// Reserves address space for so many pages of `page_size` bytes, 4096 or 65536; NULL when the system has none, or there is
// no such page size, or no pages are asked for. It allocates.
//
// Context: sections, callbacks, under locks; not a signal handler.
ptfrag_region *ptfrag_region_new(size_t page_size,
                                 size_t pages);

// Lets the handle of a region go. It is unmapped when its last mm and origin are gone and everything that was allocated is
// freed, possibly here or in a callback. NULL is allowed.
//
// Context: sections, callbacks, under locks; not a signal handler.
void ptfrag_region_free(ptfrag_region *region);

// Pages that are out. It takes the region's lock for a few stores.
//
// Context: sections, callbacks, under locks; not a signal handler, which may have interrupted the holder of that lock.
size_t ptfrag_region_pages_out(const ptfrag_region *region);

// Enters a read-side section of the calling thread, to be left on the same thread, once. Sections nest, and are left in any
// order; but as long as one of them is open the thread is in a section. It never waits. A thread's first section in a domain
// allocates.
//
// Context: anywhere; signal handlers, if their thread has been in a section of the domain before, and they leave what they
// enter.
ptfrag_section ptfrag_read_lock(const ptfrag_domain *domain);

// Leaves a section: a few stores. It runs no callbacks, so somebody else has to: ptfrag_poll now and then, or
// ptfrag_read_unlock_and_poll in its place.
//
// Context: where the section was entered; signal handlers leave their own.
void ptfrag_read_unlock(ptfrag_section section);

// Leaves a section of `domain`, and if it was the thread's last one runs callbacks now and then, at the domain's own pace: after
// 32 heads that the thread has queued, or at every 128th time at the latest. It costs about as much as a section more.
//
// Context: where the section was entered, but not in a signal handler, nor under a lock that callbacks take. In a callback it
// only leaves.
void ptfrag_read_unlock_and_poll(const ptfrag_domain *domain,
                                 ptfrag_section section);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PTFRAG_H */
