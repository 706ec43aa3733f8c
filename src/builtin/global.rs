//! The domain of the whole process.

use std::sync::LazyLock;

use super::domain::{Domain, OwnedDomain};

impl Domain {
    /// A domain for everybody in the process. It is never dropped.
    #[must_use]
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<OwnedDomain> = LazyLock::new(OwnedDomain::new);
        &GLOBAL
    }
}
