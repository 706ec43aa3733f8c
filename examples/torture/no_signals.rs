//! In the place of `signals` where there are none.

use fastrand::Rng;

use crate::scene::Scene;

/// There is none.
pub(crate) enum Post {}

impl Post {
    pub(crate) fn take(&self, _: &Scene, _: &mut Rng) {
        match *self {}
    }
}

pub(crate) fn send(_: &Scene, posts: &[Post], _: Rng) {
    assert!(posts.is_empty());
}
