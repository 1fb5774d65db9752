//! Real faults: `luopan serve` processes over real PostgreSQL and NATS, under a load that notes what it sent and what was
//! acknowledged, while nodes and servers are killed, connections cut, disks full, clocks wrong, and more is asked than can be done. After
//! each, the laws are looked at ([`luopan_testbed::check`]): nothing acknowledged is lost, nothing is done twice, caps and budgets hold, a
//! repeated key has its first decision, and a replay of the log gives what stands.
//!
//! Times of recovery are printed, not held: they are those of the machine.

mod crash;
mod installation;
