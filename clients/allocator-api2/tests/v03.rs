//! The tests of `any` with allocator-api2 0.3.

use allocator_api2_03 as api;

mod any;
