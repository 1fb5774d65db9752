//! Real servers for tests: started on free ports of this machine in temporary folders, killed when the test ends.

pub(crate) mod nats;
