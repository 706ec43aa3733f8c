//! How it works: the words, the page word, the rules, the orderings, and when the lock is taken.
//!
//! This chapter is for whoever reads or changes the crate, puts it into a kernel, or wants to know why
//! it may be trusted. Each rule has a model that fails without it (`results/verification.md` in the
//! repository).
//!
//! # Words
//! - **page**: a naturally aligned block of `FRAGS * SIZE` bytes from the source.
//! - **fragment**: one of its equal parts. All of a page's bytes are handed out; there are no
//!   headers.
//! - **descriptor** ([`PageDesc`]): 40 bytes per page, outside the page: the page word, one
//!   [`RcuHead`], the owning mm, a ticket. Its memory stays a descriptor as long as the source lives.
//! - **mm**: one pool of pages, as one address space has. Mms share the source and the RCU, nothing
//!   else.
//! - **partial list**: the mm's doubly linked list of pages that have something free. There are two: takers
//!   find the pages on one without the lock (those are *shown*), and those on the other, the *quiet* ones,
//!   under the lock only.
//! - **lane**: a pair of such lists, with a lock. An mm has one, or [several](crate::Mm::lanes) over which takers are
//!   spread; a page's word says in which it is. *The lock*, of a page, is its lane's.
//! - **host**: the free fragment of a listed page in which the list node lies.
//! - **token** ([`Frag`](crate::Frag)): the right to one used fragment.
//! - **handle** ([`Local`]): a thread's stock of fragments of an mm. It *claims* all that is free on a page
//!   at once.
//! - **release**: an empty page goes home, back to its source.
//! - **grace period**: after it, every read-side section that had begun before it has ended.
//! - **ticket** ([`Rcu::ticket`]): names the next grace period that has not begun.
//!
//! # The page word
//! The 64-bit [`Word`](crate::word::Word) is the whole truth about a page: three masks of free, pending
//! and next-in-line fragments, and the flags. Its transitions are pure functions that also say what
//! is to be done outside the word. They take masks, so a batch costs one compare-and-swap per page.
//!
//! | transition | word | outside the word |
//! | --- | --- | --- |
//! | fetch | zero -> all U: a page from the source, whose taker gives the rest back or claims all | |
//! | take | F -> U, never the host; or under the lock all that is left | unlink |
//! | retire | U -> P if P is empty, or the call in flight still waits for its grace period to begin; else U -> X; never the lock | call RCU if P was empty |
//! | give back | U -> F | link if F was empty; release if all is free |
//! | callback | P -> F, X -> P | link or release; call RCU again if P is not empty |
//! | release | all free, and the mm does not [keep](crate::Mm::keeping) it: zero | unlink; note who has shown the page; put it back |
//! | show | SHOWN set on a quiet page, under the lock | from one list to the other |
//! | fetch over | LANE of a listed page changes, under both lanes' locks | from one lane's list to another's |
//! | shrink | all free and listed: release | |
//! | close | LISTED cleared on every page | unlink; release what is all free |
//!
//! # The rules
//! Each is there because somebody got it wrong before, or because a model fails without it.
//! 1. *A transition that changes LISTED is made under the lock of the page's lane, its link or unlink in the same
//!    hold; every other needs no lock.* So "put on the list" and "take off" cannot be carried out
//!    in the wrong order. Who needs the lock starts over from the head of the list: the page seen
//!    before it may be another mm's by now.
//! 2. *The host is the last fragment of a listed page to be taken, and stays the host while the
//!    page is listed.* Its node is wiped before the fragment is handed out.
//! 3. *One RCU head per page, at most one call in flight.*
//! 4. *What is retired during a grace period waits for the next one* (X). With a single pending
//!    mask the callback would also free what was retired after its grace period began: the sketch
//!    of 2 June 2023 had this fault. What is retired before that grace period begins *joins* (P), where the
//!    RCU can tell: who retires gets a ticket, after it has unpublished, and compares it with the page's, if that is
//!    one of its own [domain](crate::Rcu::gave).
//!    That was stored by whoever made the call, after P was set and before the call (a recent one will do),
//!    so the call waits for no earlier grace period. Whatever else may still be found there belongs to a flight
//!    that is over, and equals no ticket that is given now. The change of the word may come late: a callback
//!    that finds more in P than it has run the hook for looks again, and a flight that has begun since is a
//!    later one.
//! 5. *Nothing is written into a retired fragment before its grace period is over*: readers may
//!    still walk it. A patch for s390 of 5 June 2023 put its list node there and passed its tests.
//! 6. *A page that an mm has shown is shown by no other mm before a grace period has passed that began
//!    after it left the list.* A taker looks at the first page without the lock, inside a read-side section;
//!    it touches nothing but the descriptor's word, and takes only from a page that is shown. So whatever
//!    has become of the page, it takes its own mm's or nothing. An empty page goes home at once, with a note
//!    of who has shown it last and of a ticket that was given after it was unlinked. The next mm shows it
//!    if it is the same, or if nobody has, or if the ticket has elapsed; else the page is quiet there, until
//!    a take under the lock finds that the ticket has elapsed. Nobody has, too, where a callback finds all of
//!    the page pending and nothing free: the page had left the list before the last fragment was retired,
//!    whose grace period has just ended. A page that was quiet all the time keeps its
//!    ticket, which a call replaces only by a later one of the same [domain](crate::Rcu::gave); any mm has to
//!    wait for it.
//!    When the last free fragment is taken and when a page goes home, the word is changed first, since the
//!    change may not come off; the fragment in hand, or that nobody else knows the page any more, keeps it
//!    until it is unlinked. When an mm closes, the page is unlinked first: once LISTED is clear, others can
//!    bring it to its release without the lock.
//! 7. *Given-back fragments become free at once*, not pending: [`Hooks::reclaim`] runs once for
//!    each retired fragment and never for one that was given back. That has a hook of its own, which
//!    runs when the word has shown that the fragment is used.
//! 8. *A page is released by exactly one thread, which touches neither page nor descriptor after it has put
//!    the page back*, and nobody else has list work left on it then.
//! 9. *Under the lock: no RCU call, no section entered or left, no hook, no page fetched or put.*
//!    (The source is asked there which page an address lies in, and where a page begins, and the RCU whether
//!    a ticket has elapsed.) The
//!    crate's own sections never run callbacks, nor are pages fetched or put inside one.
//! 10. *Freeing never allocates and never fails.*
//! 11. *The mm's head outlives its pages, and nobody waits for it.* Each page pins it. Words of a
//!     closed mm are changed without the lock, since the change may let the head go.
//! 12. *Who looked just before an mm was closed may still be looking* (Linux commit fda4d71651f7): its pages
//!     go home with the same note as all others.
//! 13. *A bug that memory safety rests on is a panic* that names page, fragment and word, before
//!     anything has changed, where the word can show it: a double free, a pointer that is no
//!     fragment, another mm's fragment, an overwritten list node. [What is found](#what-is-found)
//!     has the limits.
//! 14. *Listed means usable*: no page stands on the list from which nothing can be taken.
//! 15. *A callback never waits.* It tries the lock, a few times within about a microsecond unless pages wait for it
//!     already. If somebody holds it, the page is marked (HOOKED: the
//!     hook has run for all of P, and nothing joins any more; who read the word before finds it changed) and
//!     put on a stack of its mm, and one RCU head of the mm comes again for all that are there, until it is refused
//!     four times, with one lane once; what was refused goes behind the rest. So a holder
//!     that has stopped costs a callback in each grace period, however many pages wait for it; and `reclaim`
//!     is not run twice.
//! 16. *A queued head can be run by any thread*, for everybody's fragments on its page wait for it.
//! 17. *Whoever queues a head has acquired the page's word*: the call comes after all that others
//!     did to make it necessary, be it unpublishing what they retired into X, or reading this very head
//!     in the last callback.
//! 18. *What a handle holds is used to everybody else.* What it has sent for is its callback's
//!     until that says that the grace period is over; what it gathers meanwhile waits for the next
//!     call, as X does on a page. If the handle is flushed or dropped first, it is the callback
//!     that gives back what was sent, and one of the two, never both, ends what they share: the
//!     handle's part ([`LocalPart`]), with the RCU head and the fragments in it. Nothing is put in front
//!     of what a flushed handle has sent: those places are skipped with all that is before them.
//! 19. *An empty page stays on the list only with a place of its own*, of as many as the mm keeps. The
//!     place is reserved before the word is changed. If the change turns out otherwise it is given up
//!     while something still pins the head: before the change, or under the lock. Who takes from an
//!     empty page, or takes it off the list, gives its place up afterwards. So there are never more empty
//!     pages than places, and at times a place too many.
//! 20. *One thread at a time fetches a page for a lane*, from before the source is asked until the page is
//!     listed, and others that find nothing listed wait for it, but not for ever, since it may have been
//!     stopped: after a little a second one fetches as well, and after long everybody does. Who claims a
//!     fresh page for a handle lists nothing, so others may have waited in vain.
//! 21. *A walk along the list that lets the lock go in between stands at a page of the list*: who takes
//!     that page off moves the walk on. So it never looks at what has become another mm's.
//! 22. *What one handle passes on to another is one chain, taken whole.* It is put where there is none, and
//!     its links are believed only if the second word of each fragment, where the link is mixed with the
//!     page, confirms them. Each handle takes what is there when it lets go of what it holds, and passes nothing
//!     on before its next use, so the last to go leaves nothing. Nor does an allocation fail while it is there.
//! 23. *A listed page is on a list of the lane that its word names, and that changes under the locks of both lanes*, when a
//!     taker finds nothing in its own and fetches a page over. It waits for its own lane's lock and tries the other one:
//!     a holder that has stopped holds up its lane alone. Takers who found the page before still take from it,
//!     since it is the same mm's. Whoever gets a lane's lock looks at the word again: the page may be in another lane by
//!     now. Before an allocation fails it looks at all lanes under all their locks, waiting for none while it holds another,
//!     since pages can move behind a look at one after the other; and it has waited for those who were fetching
//!     for any lane. An mm is closed lane by lane, and what holds of a closed mm holds of each lane from then on.
//!
//! # Orderings
//! Each happens-before edge has one carrier; everything else is Relaxed.
//!
//! | edge | carrier |
//! | --- | --- |
//! | a fragment's last use, or its hook, before its reuse | Release of the free's or callback's compare-and-swap; Acquire of the take's |
//! | all that others did to the word before a call or a release (uses of the page, unpublishing, unlinking, the last callback's reading of the head) before that | Release of every change of the word; Acquire fence before every call and release (read-modify-writes in between keep the release sequence) |
//! | the last use of what has joined, before its hook | Release of the retirement; Acquire of the callback's load |
//! | the change of the word that makes a call necessary, before any other's joining under its ticket | Release of the ticket's store; Acquire of its load |
//! | unpublishing before the comparison of tickets, unlinking before the page's ticket | the RCU's [`ticket`](crate::Rcu::ticket) |
//! | a page's callback before its mm comes again for it, and one such round before the next | Release and Acquire of the stack's top |
//! | that a page is being fetched before another allocation fails for want of it | Release fence before the source is asked, Acquire fence after it has refused; the source's own state between them |
//! | descriptor and first word before a page is found | Release and Acquire of the list's first-page pointer |
//! | what is written before publishing | Release of the slot's swap; Acquire of its load |
//! | retire before the callback, sections before the callback | the RCU implementation ([`Rcu`]) |
//! | list nodes | the lock |
//! | a page's owner before another mm's overwritten link is followed there | Release of the change that listed it; Acquire of the check's load of the word |
//! | what the mm's handles did before it is set what it keeps | Release and Acquire of the pin count |
//! | readers and hook of what a handle retired, before its reuse | Release of the callback's exchange of the part's state; Acquire of the handle's load |
//! | a fragment's last use, or its hook, before it is passed on, before its reuse by another handle | Release of the exchange that offers the chain; Acquire of the swap that takes it |
//! | all that a handle did before its callback ends the part | Release of the drop's exchange of the state; Acquire of the callback's |
//! | all use of an mm's head before its end | Release and Acquire of the pin count |
//!
//! # When the lock is taken
//! - *take*: for the last free fragment of a page, when the first page has just left the list, for every
//!   fragment while only quiet pages are listed in its lane, and
//!   when nothing is listed: to make sure of it, to list a fresh page, and to look again if there is
//!   none.
//! - *give back, end of a grace period*: when a page goes on the list because something on it is
//!   free again, and when it leaves it because all is. A callback only tries, and if somebody has
//!   the lock its page is seen to after another grace period; what waits in X on the page waits along.
//!   In a batch ([`Frag::give_back_all`]) 16 pages of one lane share one hold of its lock.
//! - *a handle*: to claim a page, and where it lets go of what it holds, as above, unless another handle
//!   can have it; never in its retire, which at most tries the lock.
//! - *close*: for every page. *shrink*: for every 16 pages that go, or 64 that it looks at.
//!
//! Retiring, reading and publishing never wait for it. So a thread that stops for ever while it holds a
//! lane's lock stops those who need the lists of that lane (of the mm, if it has one lane), those whose allocation would fail otherwise,
//! and nobody else: not what is retired, not readers,
//! no other mm, no callback. One that stops between its change of a word and the call that this asks
//! for keeps what waits on that page from coming back, and nothing else; one that stops with a handle
//! keeps what the handle holds; and one that stops in a section holds up grace periods, as under any
//! RCU. What one holds up that stops inside a callback, or where callbacks are queued, is the RCU's
//! affair: under [`Domain`] at most the 64 heads that it was going to run, of whichever mms (one of which may
//! stand for all pages that wait for one mm's lock), or those of the one queue whose lock it has, and whoever waits for all in `barrier`. ([`Region`] has a mutex
//! that `get` waits for, and one `put` in 64, or each while pages are scarce, and a callback with it;
//! [`Memory`] has a lock that both wait for. The parent of [`Nested`] pages is dropped, hence its lock waited for, with their last
//! handle, possibly in a callback.) This is what *lock-free* means here, and
//! no more. On recorded page-table traces the lock is taken 158 to 298 times in 1000 operations without
//! handles, and 115 to 298 times with one for each processor (`results/replay.md` in the repository).
//!
//! # What is found
//! The word tells used fragments from others, and nothing else; a descriptor tells its mm. So these are
//! panics, in the call that does it, with that page and fragment unchanged:
//! - a second free of a fragment that no handle has got hold of since, and that has not been handed out
//!   since, by whichever of [`Frag`](crate::Frag), [`Slot`](crate::Slot) and [`Mm`](crate::Mm);
//! - a pointer into no page of the source, or into the middle of a fragment; where an mm is
//!   named ([`Mm`](crate::Mm), [`Slot`](crate::Slot)) a fragment of another;
//! - a page that is to leave the list when its neighbours do not point at it.
//!
//! And these are found later or not at all:
//! - *Through a handle*: what a [`Local`] holds is used as far as the word goes. Builds with debug
//!   assertions look through the handle first at each retirement and give-back through it, and panic over
//!   what it holds already. In others a second [`Local::retire_raw`](crate::Local::retire_raw) of such a fragment is not
//!   noticed, and the handle hands the fragment out twice; it is a panic only when both have gone to the
//!   page's word without a user in between, as in a flush, or both are passed on to another handle. What was
//!   passed on no handle holds, and is found no more than what another holds; a link that somebody has
//!   overwritten there is a panic of who takes the chain, and what is behind it is lost.
//! - *In a callback*: a callback cannot unwind, so what is found there (an overwritten list node, or a
//!   double free that a handle left behind) ends the process.
//! - A stale free of a fragment that was handed out again frees it under its new owner's hands.
//!
//! # For embedders
//! - Hardware walkers: retire a table only after the TLB and paging-structure-cache flush that
//!   covers it.
//! - A table that a walker may have seen is retired, never given back.
//! - `retire` is one compare-and-swap and at most one RCU call: it can be used in interrupts if the
//!   RCU's call can, but not where portable-atomic falls back to locks (no 64-bit atomics).
//! - The fragments of a page share whatever is per page, such as a split page-table lock or
//!   accounting.
//! - [`Hooks::page_out`] runs in a callback, after the mm's owner may have gone, or in whichever give-back,
//!   shrink or close makes the page go home: not under a lock that the hook takes.
//! - Teardown counts pages ([`Mm::pages`], or the source's own count): `barrier` does not mean that
//!   all are home, because callbacks call again.
//! - After `fork` in user space a child may only `exec`.
//! - A handle ([`Local`]) for each processor: nothing in it asks which thread it is, so it is enough
//!   that nobody else comes to that processor's handle while it is used: preemption is off, and
//!   interrupts do not use it (or they are off, too). Its `retire` is then as fit for that as the
//!   RCU's call; its `alloc` fetches a page when the mm has none (and without the handle, where the mm has several lanes, also when the lane
//!   has none), so where the source may sleep,
//!   make sure of a page before, or take one without the handle. Of a processor that goes offline
//!   any other can flush the handle. Handles that lie side by side are for the embedder to pad.
//!
//! [`PageDesc`]: crate::PageDesc
//! [`RcuHead`]: crate::RcuHead
//! [`Rcu`]: crate::Rcu
//! [`Rcu::ticket`]: crate::Rcu::ticket
//! [`Local`]: crate::Local
//! [`LocalPart`]: crate::LocalPart
//! [`Domain`]: crate::Domain
//! [`Region`]: crate::Region
//! [`Memory`]: crate::Memory
//! [`Nested`]: crate::Nested
//! [`Hooks::reclaim`]: crate::Hooks::reclaim
//! [`Hooks::page_out`]: crate::Hooks::page_out
//! [`Frag::give_back_all`]: crate::Frag::give_back_all
//! [`Mm::pages`]: crate::Mm::pages
