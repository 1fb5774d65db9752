//! Log messages changed on purpose, for faults that are planted.

use luopan_kernel::ENVIRONMENT_PARTITION;
use luopan_kernel::codec::{Reader, Writer};
use luopan_kernel::event::{Entry, decode_message, encode_message};
use luopan_kernel::learn::Sample;
use luopan_store::Append;

/// Turns the first two events of one sender in a message round.
pub fn swap(a: &mut Append) {
    if a.partition.0 >= luopan_kernel::PARTITIONS {
        return;
    }
    let Ok(mut entries) = decode_message(&a.message) else {
        return;
    };
    let mut pair = None;
    for i in 1..entries.len() {
        let Entry::Event(second) = &entries[i] else {
            continue;
        };
        let same = |e: &Entry<'_>| matches!(e, Entry::Event(first) if first.identifier == second.identifier && first.id != second.id);
        if let Some(first) = entries[..i].iter().position(same) {
            pair = Some((first, i));
            break;
        }
    }
    if let Some((first, second)) = pair {
        entries.swap(first, second);
        let message = encode_message(&entries);
        drop(entries);
        a.message = message.into();
    }
}

/// Gives the first sample of a learner's message another reward.
pub fn reward(a: &mut Append) {
    first_sample(a, |s| s.reward += 1.0);
}

/// Gives the first sample of a learner's message the features of one who visited more often, or less.
pub fn features(a: &mut Append) {
    first_sample(a, |s| s.features[1..].rotate_left(1));
}

fn first_sample(a: &mut Append, change: impl FnOnce(&mut Sample)) {
    if a.partition.0 <= ENVIRONMENT_PARTITION {
        return;
    }
    let changed = || {
        let mut r = Reader::new(&a.message);
        r.format("sample message", 1).ok()?;
        let n = r.count(8).ok()?;
        let mut samples = Vec::new();
        for _ in 0..n {
            samples.push(Sample::decode(r.bytes().ok()?).ok()?);
        }
        change(samples.first_mut()?);
        let mut w = Writer::with_format(1);
        w.uint(samples.len() as u64);
        for s in &samples {
            w.bytes(&s.encode());
        }
        Some(w.into_bytes())
    };
    if let Some(message) = changed() {
        a.message = message.into();
    }
}
