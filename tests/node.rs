//! The list node in a free fragment.

mod common;

use common::Bench;

/// Pages that are linked to each other lose their hosts one by one: each, fresh from the system but
/// for the node, holds nothing but zeros.
#[test]
fn a_taken_host_holds_no_node() {
    let bench = Bench::<2, 2048, 4096>::new(3);
    let mut frags = bench.take(6);
    // The second of each page goes back, and is the host.
    let seconds: Vec<_> = (0..3).map(|page| frags.remove(page + 1)).collect();
    drop(seconds);
    let hosts = bench.take(3);
    for host in &hosts {
        assert!(host.iter().all(|byte| *byte == 0), "{host:?}");
    }
    drop((frags, hosts));
    bench.expect_home();
}
