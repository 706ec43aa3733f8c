//! Threads that replace elements, and wait for grace periods in all the ways there are.

use std::thread;

use fastrand::Rng;
use ptfrag::Rcu;

use crate::{
    element::{Element, UNLINKED},
    pool::{Owner, Pool},
    reader::spin,
    scene::{Scene, Shift},
    signals::Post,
    stores::SlowStores,
    tally::{Tally, Wrong},
};

/// So many elements wait for tickets at a time.
const TICKETS: usize = 16;

/// How to wait for a grace period.
#[derive(Clone, Copy)]
enum Way {
    Call,
    /// In a section, in which the element has been found.
    CallInSection,
    Ticket,
    Synchronize,
    Barrier,
}

/// An updater at work.
struct Updater<'a> {
    scene: &'a Scene,
    owner: Owner<'a>,
    tally: Tally<'a>,
    stores: SlowStores,
    /// What waits for tickets.
    waiting: Vec<(&'a Element, u64)>,
    rng: Rng,
}

/// Updates what is in `pool`, which nobody else does.
pub(crate) fn update(scene: &Scene, pool: &Pool, post: Option<&Post>, mut rng: Rng) {
    let _post = post.map(|post| post.take(scene, &mut rng));
    let mut shift = Shift::new(scene);
    let mut updater = Updater {
        scene,
        owner: pool.own(),
        tally: Tally::new(&scene.totals),
        stores: SlowStores::new(),
        waiting: Vec::with_capacity(TICKETS),
        rng,
    };
    while shift.go_on(&mut updater.rng) {
        updater.some_updates(pool);
        updater.tally.flush();
    }
    updater.finish();
}

impl<'a> Updater<'a> {
    /// A number of updates in one way.
    fn some_updates(&mut self, pool: &Pool) {
        let (way, most) = match self.rng.u32(..16) {
            0..3 => (Way::Call, 64),
            3..6 => (Way::CallInSection, 32),
            6..9 => (Way::Ticket, 64),
            9..15 => (Way::Synchronize, 64),
            _ => (Way::Barrier, 4),
        };
        let (slow, polls) = (self.rng.bool(), self.rng.usize(..3));
        for _ in 0..self.rng.usize(1..=most) {
            if slow {
                self.stores.make(20, &mut self.rng);
            }
            self.update(way, pool);
            for _ in 0..polls {
                self.scene.domain.poll();
            }
            self.look_at_tickets();
        }
        // Whatever else there is to do.
        drop(self.scene.domain.read());
        self.scene.domain.poll();
    }

    fn update(&mut self, way: Way, pool: &Pool) {
        let domain = &self.scene.domain;
        if let Way::CallInSection = way {
            let section = Rcu::read(&**domain);
            let find = pool.find();
            self.replace(Self::queue);
            spin(self.rng.u32(..200));
            self.tally.check(&find);
            drop(section);
            return;
        }
        self.replace(match way {
            Way::Call | Way::CallInSection => Self::queue,
            Way::Ticket => Self::wait_for_ticket,
            Way::Synchronize => Self::synchronize,
            Way::Barrier => Self::barrier,
        });
    }

    /// Replaces the element, if there is another, and has `retire` take care of the old one.
    fn replace(&mut self, retire: fn(&mut Self, &'a Element)) {
        match self.owner.replace() {
            Some(old) => {
                retire(self, old);
                self.tally.count_update();
            }
            None => {
                self.scene.domain.poll();
            }
        }
    }

    fn queue(&mut self, old: &'a Element) {
        // SAFETY: it was just unlinked, and elements outlive the domain.
        unsafe { old.queue(&self.scene.domain) };
    }

    fn wait_for_ticket(&mut self, old: &'a Element) {
        match Rcu::ticket(&*self.scene.domain) {
            // The domain cannot tell.
            0 => self.queue(old),
            ticket if self.waiting.len() < TICKETS => self.waiting.push((old, ticket)),
            _ => self.queue(old),
        }
    }

    fn look_at_tickets(&mut self) {
        let domain = &*self.scene.domain;
        self.waiting.retain_mut(|(element, ticket)| {
            if !domain.has_elapsed(*ticket) {
                return true;
            }
            *ticket = domain.ticket();
            element.grow_older()
        });
    }

    fn synchronize(&mut self, old: &'a Element) {
        self.scene.domain.synchronize();
        old.grow_older();
        // The one grace period is all it takes, but readers can tell more of what is seen for longer.
        if self.rng.bool() {
            old.end();
        } else {
            self.queue(old);
        }
    }

    fn barrier(&mut self, old: &'a Element) {
        let before = old.age();
        self.queue(old);
        self.scene.domain.barrier();
        if before == old.age() {
            self.scene.totals.complain(Wrong::Barrier, UNLINKED);
        }
    }

    /// Waits for the last tickets.
    fn finish(mut self) {
        while !self.waiting.is_empty() {
            self.scene.domain.synchronize();
            let tickets: Vec<_> = self.waiting.iter().map(|(_, ticket)| *ticket).collect();
            if !tickets.into_iter().all(|ticket| Rcu::has_elapsed(&*self.scene.domain, ticket)) {
                return self.scene.totals.complain(Wrong::Ticket, UNLINKED);
            }
            self.look_at_tickets();
            thread::yield_now();
        }
    }
}
