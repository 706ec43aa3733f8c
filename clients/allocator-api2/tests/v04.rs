//! The tests of `any` with allocator-api2 0.4.

use allocator_api2_04 as api;

mod any;
