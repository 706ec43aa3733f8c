//! The tests of `any` with allocator-api2 0.2.

use allocator_api2_02 as api;

mod any;
