//! The stored form of an ensemble: a format byte, names, shape, and each tree root first, left branch before right. Nothing
//! points anywhere, so no bytes can make a cycle. This room must never panic on any bytes, nor allocate more than they could
//! hold.

use super::{
    CATEGORICAL, CATEGORIES_MAX, Child, DEFAULT_LEFT, Ensemble, FEATURE_NAME_BYTES_MAX,
    FEATURES_MAX, FORMAT, LEAVES_MAX, NODES_MAX, OUTPUTS_MAX, Parts, Split, TREES_MAX, Test,
    Transform, Tree, ZERO_IS_MISSING,
};
use crate::codec::{Reader, Result, Writer};

/// Tag of a split; its flags stand beside it. A leaf has the tag 0.
const SPLIT: u16 = 8;

impl Ensemble {
    /// The stored form, the same bytes for the same ensemble.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(FORMAT);
        w.uint(self.features.len() as u64);
        for name in &self.features {
            w.str(name);
        }
        w.uint(self.outputs as u64);
        w.u8(u8::from(self.averaged));
        match self.transform {
            Transform::Identity => w.u8(0),
            Transform::Sigmoid { steepness } => {
                w.u8(1);
                w.f64(steepness);
            }
            Transform::Exp => w.u8(2),
            Transform::SignedSquare => w.u8(3),
            Transform::LogOnePlusExp => w.u8(4),
            Transform::Softmax => w.u8(5),
        }
        w.uint(self.roots.len() as u64);
        let mut ahead = Vec::new();
        for root in &self.roots {
            ahead.push(root.node);
            while let Some(at) = ahead.pop() {
                let node = &self.nodes[at as usize];
                if node.is_leaf() {
                    w.u8(0);
                    w.f64(self.values[at as usize]);
                    continue;
                }
                w.u8((SPLIT | node.flags) as u8);
                w.uint(u64::from(node.feature));
                if node.flags & CATEGORICAL == 0 {
                    w.f64(node.threshold);
                } else {
                    let place = node.threshold.to_bits();
                    let (start, length) = ((place >> 32) as usize, place as u32 as usize);
                    w.uint(length as u64);
                    for word in &self.words[start..start + length] {
                        w.raw(&word.to_le_bytes());
                    }
                }
                ahead.push(node.first + 1);
                ahead.push(node.first);
            }
        }
        w.into_bytes()
    }

    /// Reads a stored ensemble.
    ///
    /// # Errors
    /// [`crate::codec::Error`]: a newer format, bytes that end early, are left over, or say what no ensemble may.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("ensemble of trees", FORMAT)?;
        let features = r.count(2)?;
        if features == 0 || features > FEATURES_MAX {
            return Err(r.malformed("1 to 4,096 features"));
        }
        let features: Vec<String> = (0..features)
            .map(|_| match r.str()? {
                name if name.len() > FEATURE_NAME_BYTES_MAX => {
                    Err(r.malformed("a feature name of at most 256 bytes"))
                }
                name => Ok(name.to_owned()),
            })
            .collect::<Result<_>>()?;
        let outputs = r.uint()?;
        if outputs == 0 || outputs > OUTPUTS_MAX as u64 {
            return Err(r.malformed("1 to 256 outputs"));
        }
        let averaged = match r.u8()? {
            0 => false,
            1 => true,
            _ => return Err(r.malformed("whether trees are averaged, 0 or 1")),
        };
        let transform = match r.u8()? {
            0 => Transform::Identity,
            1 => Transform::Sigmoid {
                steepness: r.f64()?,
            },
            2 => Transform::Exp,
            3 => Transform::SignedSquare,
            4 => Transform::LogOnePlusExp,
            5 => Transform::Softmax,
            _ => return Err(r.malformed("a transform, 0 to 5")),
        };
        let trees = r.count(9)?;
        if trees == 0 || trees > TREES_MAX {
            return Err(r.malformed("1 to 10,000 trees"));
        }
        let mut nodes = 0;
        let trees = (0..trees)
            .map(|_| tree(&mut r, features.len(), &mut nodes))
            .collect::<Result<_>>()?;
        r.done()?;
        Self::build(Parts {
            features,
            outputs: outputs as usize,
            averaged,
            transform,
            trees,
        })
        .map_err(|_| {
            r.malformed("names that differ, finite numbers and as many trees for each output")
        })
    }
}

fn tree(r: &mut Reader<'_>, features: usize, nodes: &mut usize) -> Result<Tree> {
    let mut tree = Tree::default();
    // Branches still to be read: the split they hang on, and whether they are its right one.
    let mut ahead: Vec<Option<(usize, bool)>> = vec![None];
    while let Some(place) = ahead.pop() {
        let tag = u16::from(r.u8()?);
        let child = if tag == 0 {
            if tree.leaves.len() == LEAVES_MAX {
                return Err(r.malformed("a tree of at most 65,536 leaves"));
            }
            tree.leaves.push(r.f64()?);
            Child::Leaf(tree.leaves.len() - 1)
        } else {
            if tree.splits.len() == LEAVES_MAX {
                return Err(r.malformed("a tree of at most 65,536 leaves"));
            }
            let (feature, test) = split(r, tag, features, nodes)?;
            tree.splits.push(Split {
                feature,
                test,
                left: Child::Leaf(0),
                right: Child::Leaf(0),
            });
            let at = tree.splits.len() - 1;
            ahead.push(Some((at, true)));
            ahead.push(Some((at, false)));
            Child::Split(at)
        };
        match place {
            None => {}
            Some((parent, false)) => tree.splits[parent].left = child,
            Some((parent, true)) => tree.splits[parent].right = child,
        }
        *nodes += 1;
        if *nodes > NODES_MAX {
            return Err(r.malformed("at most 4,000,000 nodes and words of category sets"));
        }
    }
    Ok(tree)
}

fn split(
    r: &mut Reader<'_>,
    tag: u16,
    features: usize,
    nodes: &mut usize,
) -> Result<(usize, Test)> {
    let flags = tag ^ SPLIT;
    let numerical = flags & !(DEFAULT_LEFT | ZERO_IS_MISSING) == 0;
    if !numerical && flags != CATEGORICAL {
        return Err(r.malformed("a leaf or a split"));
    }
    let feature = r.uint()?;
    if feature >= features as u64 {
        return Err(r.malformed("a feature that the ensemble has"));
    }
    let test = if numerical {
        Test::AtMost {
            threshold: r.f64()?,
            missing: flags & DEFAULT_LEFT != 0,
            zero_is_missing: flags & ZERO_IS_MISSING != 0,
        }
    } else {
        let length = r.count(4)?;
        if length > CATEGORIES_MAX / 32 {
            return Err(r.malformed("categories below 65,536"));
        }
        *nodes += length;
        let members = (0..length)
            .map(|_| Ok(u32::from_le_bytes(r.array()?)))
            .collect::<Result<Vec<u32>>>()?;
        if members.last() == Some(&0) {
            return Err(r.malformed("a category set whose last word is not zero"));
        }
        Test::In { members }
    };
    Ok((feature as usize, test))
}
