//! Customer value: the numbers of Lifetimes, the laws of the models, what simulated customers do, and what is refused.

mod laws;
mod reference;
mod refused;
mod simulated;

use luopan_kernel::random::Random;
use luopan_learning::value::{BgNbd, GammaGamma, History};

/// A gamma draw of scale 1 (Marsaglia and Tsang 2000).
fn gamma(random: &mut Random, shape: f64) -> f64 {
    if shape < 1.0 {
        let u = 1.0 - random.uniform();
        return gamma(random, shape + 1.0) * libm::pow(u, 1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = random.normal();
        let v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
        let u = 1.0 - random.uniform();
        if v > 0.0 && libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// Purchases of a customer until `age` and until `later`, and the mean of what she paid until `age`.
struct Simulated {
    history: History,
    spend: f64,
    alive: bool,
    next: f64,
}

fn simulate(
    model: &BgNbd,
    paid: &GammaGamma,
    customers: usize,
    later: f64,
    seed: u64,
) -> Vec<Simulated> {
    let mut random = Random::new(seed);
    (0..customers)
        .map(|_| {
            let age = 20.0 + (20.0 * random.uniform()).round();
            let rate = gamma(&mut random, model.r) / model.alpha;
            let (x, y) = (gamma(&mut random, model.a), gamma(&mut random, model.b));
            let leaves = x / (x + y);
            let each = gamma(&mut random, paid.q) / paid.v;
            let (mut at, mut frequency, mut recency, mut sum, mut next) = (0.0, 0, 0.0, 0.0, 0.0);
            let mut alive = true;
            loop {
                at += -libm::log(1.0 - random.uniform()) / rate;
                if at > age + later {
                    break;
                }
                let gone = random.uniform() < leaves;
                if at <= age {
                    (frequency, recency) = (frequency + 1, at);
                    sum += gamma(&mut random, paid.p) / each;
                    alive = !gone;
                } else {
                    next += 1.0;
                }
                if gone {
                    break;
                }
            }
            Simulated {
                history: History::new(frequency, recency, age).expect("sound"),
                spend: if frequency > 0 {
                    sum / f64::from(frequency)
                } else {
                    0.0
                },
                alive,
                next,
            }
        })
        .collect()
}
